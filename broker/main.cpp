// vgpu-broker. Clients (the libcuda.so.1 shim) connect to its Unix socket and say hello. For each the broker makes a
// window (sealed memfd) and a doorbell (eventfd), starts one vgpu-worker and hands both descriptors to both; from then
// on client and worker talk without it. It keeps: a pidfd of the client, whose end kills the worker; a pidfd of the
// worker, whose end is told to the client through the window; a page of grants and usage shared with the worker.
// Workers outlive a broker that crashes or steps down, and are ended by one that shuts down. The broker never loads
// CUDA and reads nothing that a guest puts in a window.
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include <cstdio>
#include <new>
#include <string>

#include "broker/broker.hpp"
#include "common/base/replace_file.hpp"
#include "common/base/service_notify.hpp"
#include "common/control/exit_class.hpp"

using namespace vgpu;

namespace {

int serve(broker::Broker& broker, boost::asio::io_context& loop, const std::string& pid_file) {
  if (const auto started = broker.start(); !started) {
    log::error("{}", started.error().text);
    return 1;
  }
  base::notify_service("READY=1");
  if (!pid_file.empty())
    if (const auto written = base::replace_file(pid_file, std::to_string(getpid()) + "\n", 0644); !written)
      log::error("the process id is not told: {}", written.error().text);
  loop.run();
  return broker.exit_code();
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = broker::parse_options(argc, argv);
  if (options.exit_code) return *options.exit_code;

  const auto loaded = options.load();
  for (const auto& error : loaded.errors) std::fprintf(stderr, "%s\n", error.c_str());
  if (!loaded.errors.empty()) return 1;
  if (options.check_config) return std::puts("the configuration is good"), 0;

  if (const auto opened = log::open("vgpu-broker", loaded.config.logging()); !opened)
    return std::fprintf(stderr, "vgpu-broker: %s\n", opened.error().text.c_str()), 1;

  boost::asio::io_context loop(1);
  broker::Broker broker(loop, options, loaded.config);
  try {
    return serve(broker, loop, options.pid_file);
  } catch (const std::bad_alloc&) {
    // Clients and workers go on meanwhile, and are taken back: by us in a fresh run, or by who starts us again.
    static const char kLine[] = "vgpu-broker: out of memory: relaunching\n";
    (void)!write(STDERR_FILENO, kLine, sizeof kLine - 1);
    broker.relaunch_in_need();
    _exit(control::kExitInternal);
  }
}
