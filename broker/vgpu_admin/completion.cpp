#include "broker/vgpu_admin/completion.hpp"

#include <CLI/CLI.hpp>

namespace vgpu::admin {
namespace {

/// "--json --socket"
std::string long_options(const CLI::App& app) {
  std::string words;
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames()) words += (words.empty() ? "--" : " --") + name;
  return words;
}

std::string commands(const CLI::App& app) {
  std::string words;
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    words += (words.empty() ? "" : " ") + sub->get_name();
  return words;
}

/// What may follow a command, besides its options: names come from the broker, if it answers.
std::string arguments_of(const std::string& command) {
  if (command == "list") return "vms clients workers gpus sockets";
  if (command == "completion") return "bash";
  if (command == "quarantine" || command == "release" || command == "doctor")
    return "$(vgpu-admin list vms 2>/dev/null | awk 'NR > 1 {print $1}')";
  if (command == "kill") return "$(vgpu-admin list clients 2>/dev/null | awk 'NR > 1 {print $1}')";
  return {};
}

}  // namespace

std::string bash_completion(const CLI::App& app) {
  std::string script =
      "# bash completion of vgpu-admin: vgpu-admin completion bash\n"
      "_vgpu_admin() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command= each\n"
      "  case $before in\n"
      "    --socket | --config | --output | --system-root) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
      "  esac\n"
      "  for each in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case \" " +
      commands(app) +
      " \" in *\" $each \"*) command=$each; break ;; esac\n"
      "  done\n"
      "  local words=\"" +
      long_options(app) +
      "\"\n"
      "  case $command in\n"
      "    '') words+=\" " +
      commands(app) + "\" ;;\n";
  for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    script += "    " + sub->get_name() + ") words+=\" " + long_options(*sub);
    if (const auto more = arguments_of(sub->get_name()); !more.empty()) script += " " + more;
    script += "\" ;;\n";
  }
  script +=
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
      "}\n"
      "complete -F _vgpu_admin vgpu-admin\n";
  return script;
}

}  // namespace vgpu::admin
