#include "broker/vgpu_admin/options.hpp"

#include <CLI/CLI.hpp>
#include <limits>

#include "broker/vgpu_admin/completion.hpp"
#include "common/control/exit_class.hpp"

namespace vgpu::admin {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 done, 1 refused or failed, 64 wrong usage, 69 the broker cannot be reached; of doctor: 0 all good,\n"
    "1 something is broken, 2 good as far as could be seen. See vgpu-admin(8).";

/// One place for all commands; vgpu-admin completion lists what is here.
void add_commands(CLI::App& app, Options& options) {
  const auto add = [&](const char* name, const char* help, Command command) {
    auto* sub = app.add_subcommand(name, help);
    sub->callback([&options, command] { options.command = command; });
    return sub;
  };
  add("status", "The broker, its clients, and what it has processed", Command::status);
  add("list", "VMs, clients, workers, GPUs or sockets, a line each", Command::list)
      ->add_option("WHAT", options.what, "vms, clients, workers, gpus or sockets")
      ->required()
      ->check(CLI::IsMember({"vms", "clients", "workers", "gpus", "sockets"}));
  auto* kill = add("kill", "Ends a client, or all clients of a VM: their programs get one CUDA error", Command::kill);
  auto* client = kill->add_option("CLIENT", options.client, "Number of a client")
                     ->check(CLI::Range(std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max()));
  auto* vm = kill->add_option("--vm", options.vm, "All clients of this VM")->type_name("NAME");
  client->excludes(vm);
  for (const auto& [name, help, command] :
       {std::tuple{"quarantine", "Ends a VM's clients and lets no other in until it is released, over restarts too",
                   Command::quarantine},
        {"release", "Ends a VM's quarantine", Command::release}})
    add(name, help, command)
        ->add_option("VM", options.vm, "Name of the VM; of a user of this host: uid-NUMBER")
        ->required();
  add("reload", "Has the broker read its configuration again", Command::reload);
  auto* doctor = add("doctor", "From the broker to the GPU: names the first broken link, its cause and its remedy",
                     Command::doctor);
  doctor->add_option("VM", options.vm, "A VM that is expected to be up");
  doctor->add_option("--as-uid", options.as_uid, "Can this user reach the sockets? Root really tries")
      ->type_name("UID");
  doctor
      ->add_option("--system-root", options.system_root,
                   "Look for devices, libraries and kernel logs below this folder")
      ->type_name("FOLDER");
  add("support-bundle", "Packs what support needs to know into one file, and says what is in it",
      Command::support_bundle)
      ->add_option("--output", options.output, "The file (default vgpu-support-HOST-TIME.tar.gz here)")
      ->type_name("FILE");
  add("completion", "Prints a script that completes this command line: eval \"$(vgpu-admin completion bash)\"",
      Command::completion)
      ->add_option("SHELL", "bash")
      ->required()
      ->check(CLI::IsMember({"bash"}));
}

void check_kill(const Options& options) {
  if (options.command == Command::kill && options.client == 0 && options.vm.empty())
    throw CLI::RequiredError("CLIENT or --vm NAME");
}

}  // namespace

Options parse_options(int argc, char** argv) try {
  Options options;
  CLI::App app("Looks after a vgpu-broker: asks it, and finds what is broken.", "vgpu-admin");
  app.set_version_flag("--version", "vgpu-admin " VGPU_VERSION);
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", options.json, "Say it in JSON");
  app.add_option("--socket", options.socket, "The broker's admin socket (default: as the configuration says)")
      ->type_name("PATH");
  app.add_option("--config", options.config, "The broker's configuration (default /etc/vgpu/broker.toml)")
      ->type_name("FILE");
  add_commands(app, options);
  app.footer(kFooter);
  try {
    app.parse(argc, argv);
    check_kill(options);
  } catch (const CLI::ParseError& failure) {
    options.exit_code = app.exit(failure) == 0 ? 0 : control::kExitUsage;
  }
  if (options.command == Command::completion) options.completion = bash_completion(app);
  return options;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "vgpu-admin: %s\n", failure.what());
  Options failed;
  failed.exit_code = control::kExitInternal;
  return failed;
}

}  // namespace vgpu::admin
