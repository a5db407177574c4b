// vgpu-guest: how is the GPU of this virtual machine? Asks vgpu-guestd, the device itself where it may, and a CUDA
// program of its own.
#include <cstdio>

#include "shim/vgpu_guest/add.hpp"
#include "shim/vgpu_guest/doctor.hpp"
#include "shim/vgpu_guest/options.hpp"
#include "shim/vgpu_guest/self_test.hpp"
#include "shim/vgpu_guest/status.hpp"

using namespace vgpu;

namespace {

using Examination = decltype(&guest::examine);

int report(const guest::Options& options, Examination examination) {
  const auto cuda = [&options] { return guest::check_cuda(options.is_socket_given ? options.socket : ""); };
  const auto say = [&options](const guest::Finding& finding) {
    if (options.json) return;
    std::fputs(guest::to_text(finding).c_str(), stdout);
    std::fflush(stdout);
  };
  const auto findings = examination(options, cuda, say);
  if (options.json) std::fputs(guest::to_json(findings).c_str(), stdout);
  return guest::exit_code_of(findings);
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = guest::parse_options(argc, argv);
  if (options.exit_code) return *options.exit_code;
  switch (options.command) {
    case guest::Command::status:
      return guest::show_status(options);
    case guest::Command::self_test:
      return report(options, guest::self_test);
    case guest::Command::doctor:
      return report(options, guest::examine);
    case guest::Command::add:
      return guest::show_sum(options);
  }
}
