#include "broker/options.hpp"

#include <CLI/CLI.hpp>

#include "common/control/exit_class.hpp"

namespace vgpu::broker {

Options parse_options(int argc, char** argv) try {
  Options options;
  options.command_line.assign(argv, argv + argc);
  CLI::App app("Admits CUDA clients, starts a worker process for each and supervises it.", "vgpu-broker");
  app.set_version_flag("--version", "vgpu-broker " VGPU_VERSION);
  auto* config =
      app.add_option("--config", options.config_path,
                     "Configuration file (default " + std::string(kDefaultConfigPath) + ", which may be absent)")
          ->type_name("FILE");
  app.add_flag("--check-config", options.check_config, "Say what is wrong with the configuration, and exit");
  app.add_option("--socket", options.overrides.socket, "Socket to listen on")->type_name("PATH");
  app.add_option("--worker", options.overrides.worker, "Worker program")->type_name("PATH");
  app.add_option("--driver", options.overrides.driver, "auto, nvidia, sim, or the path of a library")
      ->type_name("NAME");
  app.add_option("--log-level", options.overrides.log_level, "trace, debug, info, warning or error")
      ->type_name("LEVEL");
  app.add_option("--log-format", options.overrides.log_format, "text or json")->type_name("FORMAT");
  app.add_option("--log-file", options.overrides.log_file, "File for the log, instead of standard error")
      ->type_name("PATH");
  app.add_option("--pid-file", options.pid_file, "File that gets the process id once clients can connect")
      ->type_name("PATH");
  app.footer("An ordinary user can run it: vgpu-broker --socket $HOME/vgpu.sock. See vgpu-broker(8).");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    options.exit_code = app.exit(failure) == 0 ? 0 : control::kExitUsage;
  }
  options.config_given = config->count() != 0;
  return options;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "vgpu-broker: %s\n", failure.what());
  Options failed;
  failed.exit_code = control::kExitInternal;
  return failed;
}

}  // namespace vgpu::broker
