#include "shim/vgpu_guest/options.hpp"

#include <CLI/CLI.hpp>

#include "common/control/exit_class.hpp"

namespace vgpu::guest {

Options parse_options(int argc, char** argv) try {
  Options options;
  CLI::App app("Looks after the vGPU of this virtual machine.", "vgpu-guest");
  app.set_version_flag("--version", "vgpu-guest " VGPU_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", options.json, "Say it in JSON");
  auto* socket = app.add_option("--socket", options.socket, "Socket of vgpu-guestd (default " + options.socket + ")");
  socket->type_name("PATH");
  app.add_option("--device", options.device, "PCI address of the device, as 0000:00:05.0 (default: the first there is)")
      ->type_name("ADDRESS");
  app.add_option("--pci-root", options.pci_root, "Where sysfs shows PCI functions (default " + options.pci_root + ")")
      ->type_name("FOLDER");
  app.add_subcommand("status", "Device, link, window, and which program has which channel")->callback([&] {
    options.command = Command::status;
  });
  app.add_subcommand("self-test", "A legacy request (as root) and a CUDA program, with verdicts")->callback([&] {
    options.command = Command::self_test;
  });
  app.add_subcommand("doctor", "From device to driver: names the first broken link, its cause and its remedy")
      ->callback([&] { options.command = Command::doctor; });
  auto* add = app.add_subcommand("add", "Has the GPU add two numbers, by a legacy request (as root)");
  add->add_option("LEFT", options.left, "0 to 4294967295")->required();
  add->add_option("RIGHT", options.right, "The same; the sum is modulo 2^32")->required();
  add->callback([&] { options.command = Command::add; });
  app.footer(
      "Exit codes: 0 good, 1 something is broken, 2 good as far as could be seen without root, 64 wrong usage.\n"
      "See vgpu-guest(1).");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    options.exit_code = app.exit(failure) == 0 ? 0 : control::kExitUsage;
  }
  options.is_socket_given = socket->count() != 0;
  return options;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "vgpu-guest: %s\n", failure.what());
  Options failed;
  failed.exit_code = control::kExitInternal;
  return failed;
}

}  // namespace vgpu::guest
