// vgpu-worker: one process per client. It holds the client's CUDA context and nobody else's, so that a fault stays in
// here.
//
// Comes from: vgpu-broker (fork + exec), with the window, the doorbell, the grant segment and the control socket.
// Ends with: its client, a broken protocol, or a GPU error that poisons the process. It outlives a broker that dies.
// With --legacy: one process for all legacy requests of a VM (worker/legacy), which ends with its broker.
#include <cstdio>
#include <cstring>

#include "common/base/log.hpp"
#include "common/control/exit_class.hpp"
#include "common/shm/segment.hpp"
#include "worker/broker_link.hpp"
#include "worker/legacy/serve.hpp"
#include "worker/options.hpp"
#include "worker/start.hpp"

using namespace vgpu;

namespace {

int exit_code(worker::End end) {
  switch (end) {
    case worker::End::violation:
      return control::kExitProtocolViolation;
    case worker::End::gpu_fault:
      return control::kExitGpuFault;
    case worker::End::internal:
      return control::kExitInternal;
    default:
      return control::kExitClean;
  }
}

void open_log(const worker::Options& options) {
  const auto who =
      options.legacy ? fmt::format("worker[legacy {}]", options.vm) : fmt::format("worker[{}]", options.client);
  const auto opened = log::open(who, options.log);
  if (opened) return;
  log::open(who, options.log.level);
  log::warning("{}", opened.error().text);
}

int serve_legacy(const worker::Options& options) {
  auto control = worker::take_legacy_control();
  if (control) return worker::legacy::serve(std::move(*control), options.driver);
  log::error("{}", control.error().text);
  return control.error().code;
}

/// Ends without destructors: those of the driver's own threads have nothing left to do, for the kernel gives back what
/// this process held.
[[noreturn]] void leave(const worker::Inherited& inherited, int code) {
  shm::announce_exit(inherited.segment.get(), code);
  std::_Exit(code);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "--version") == 0) return std::puts("vgpu-worker " VGPU_VERSION) < 0;
  const auto options = worker::parse_options(argc, argv);
  if (!options) {
    std::fprintf(stderr, "vgpu-worker: %s\n", options.error().text.c_str());
    return control::kExitUsage;
  }
  if (options->help) return std::fputs(worker::usage(), stdout) < 0;
  open_log(*options);
  if (options->legacy) std::_Exit(serve_legacy(*options));

  auto inherited = worker::take_inherited();
  if (!inherited) {
    log::error("{}", inherited.error().text);
    return inherited.error().code;
  }
  worker::outlive_the_broker();
  worker::BrokerLink broker(std::move(inherited->control));
  auto session = worker::start_session(*options, *inherited);
  if (!session) {
    if (session.error().code != control::kExitClean) broker.say(session.error().text);
    leave(*inherited, session.error().code);
  }
  (*session)->on_tell([&](const std::string& text, auto error) { broker.say(text, static_cast<int>(error)); });
  const bool can_grow = (*session)->window().capacity() > (*session)->window().size();
  (*session)->connect_broker(broker.descriptor(), can_grow ? inherited->window.get() : -1);
  broker.ready(worker::readiness(**session));
  leave(*inherited, exit_code((*session)->serve()));
}
