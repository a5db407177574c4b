#include "shim/guestd/options.hpp"

#include <CLI/CLI.hpp>

#include "common/control/exit_class.hpp"

namespace vgpu::guestd {

Options parse_options(int argc, char** argv) try {
  Options options;
  std::string level = "info";
  std::string mode = "0666";
  CLI::App app("Gives the programs of this virtual machine channels of its vGPU device.", "vgpu-guestd");
  app.set_version_flag("--version", "vgpu-guestd " VGPU_VERSION);
  app.add_option("--socket", options.socket, "Socket that programs connect to (default " + options.socket + ")")
      ->type_name("PATH");
  app.add_option("--socket-mode", mode, "Its permission bits: who may write to it may use the GPU (default 0666)")
      ->type_name("OCTAL")
      ->check([](const std::string& text) {
        return text.empty() || text.size() > 4 || text.find_first_not_of("01234567") != std::string::npos
                   ? std::string("not an octal number of permission bits")
                   : std::string();
      });
  app.add_option("--socket-group", options.socket_group, "Its group")->type_name("NAME");
  app.add_option("--state", options.server.state_file,
                 "Which channel belongs to which process, for the next run (default " + options.server.state_file + ")")
      ->type_name("FILE");
  app.add_option("--device", options.device, "PCI address of the device, as 0000:00:05.0 (default: the first there is)")
      ->type_name("ADDRESS");
  app.add_option("--pci-root", options.pci_root, "Where sysfs shows PCI functions (default " + options.pci_root + ")")
      ->type_name("FOLDER");
  app.add_option("--channels-per-user", options.server.channels_of_user, "Channels of one user at a time (default 64)")
      ->check(CLI::Range(1, 128));
  app.add_option("--log-level", level, "debug, info, warning or error")
      ->type_name("LEVEL")
      ->check([](const std::string& text) {
        log::Level ignored;
        return log::parse_level(text, ignored) ? std::string() : "not one of debug, info, warning, error";
      });
  app.footer("Needs root, for it opens the device. See vgpu-guestd(8).");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    options.exit_code = app.exit(failure) == 0 ? 0 : control::kExitUsage;
  }
  log::parse_level(level, options.log_level);
  options.socket_mode = static_cast<unsigned>(std::strtoul(mode.c_str(), nullptr, 8));
  return options;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "vgpu-guestd: %s\n", failure.what());
  Options failed;
  failed.exit_code = control::kExitInternal;
  return failed;
}

}  // namespace vgpu::guestd
