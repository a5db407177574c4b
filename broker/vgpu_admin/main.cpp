// vgpu-admin: asks a vgpu-broker at its admin socket, has it do things, and finds what is broken where it does not
// answer.
#include <cstdio>

#include "broker/vgpu_admin/ask.hpp"
#include "broker/vgpu_admin/examine.hpp"
#include "broker/vgpu_admin/gather.hpp"
#include "broker/vgpu_admin/options.hpp"
#include "broker/vgpu_admin/support_bundle.hpp"
#include "broker/vgpu_admin/tables.hpp"

using namespace vgpu;
using namespace vgpu::admin;

namespace {

int complain(const std::string& text, int code) {
  std::fprintf(stderr, "vgpu-admin: %s\n", text.c_str());
  return code;
}

int say(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return kDone;
}

Json make_request(const Options& options) {
  switch (options.command) {
    case Command::list:
      return {{"request", "list"}, {"what", options.what}};
    case Command::kill:
      if (options.client != 0) return {{"request", "kill"}, {"client", options.client}};
      return {{"request", "kill"}, {"vm", options.vm}};
    case Command::quarantine:
      return {{"request", "quarantine"}, {"vm", options.vm}};
    case Command::release:
      return {{"request", "release"}, {"vm", options.vm}};
    case Command::reload:
      return {{"request", "reload"}};
    default:
      return {{"request", "status"}};
  }
}

std::string text_of(const Options& options, const Json& answer) {
  switch (options.command) {
    case Command::status:
      return status_text(answer);
    case Command::list:
      return list_text(options.what, answer.at(options.what));
    case Command::kill:
      return answer.at("ended").dump() + " client(s) ended\n";
    case Command::quarantine:
      return options.vm + " is in quarantine; " + answer.at("ended").dump() + " client(s) ended\n";
    case Command::release:
      return options.vm + " is released\n";
    default:
      return "the configuration was read again: the log level is in force, other settings with a relaunch\n";
  }
}

int ask(const Options& options) {
  auto broker = Broker::connect(admin_socket_of(options));
  if (!broker) return complain(broker.error().text, kUnavailable);
  const auto answer = broker->ask(make_request(options));
  if (!answer) return complain(answer.error().text, kUnavailable);
  const bool is_done = answer->value("ok", false);
  if (options.json) say(answer->dump(1) + "\n");
  if (is_done && !options.json) say(text_of(options, *answer));
  if (!is_done) complain(answer->value("error", "refused"), kRefused);
  for (const auto& error : answer->value("errors", Json::array())) complain(error.get<std::string>(), kRefused);
  if (const auto warning = answer->value("warning", ""); !warning.empty()) return complain(warning, kRefused);
  return is_done ? kDone : kRefused;
}

int run_doctor(const Options& options) {
  const auto findings = examine(gather(options));
  if (options.json) say(to_json(findings).dump(1) + "\n");
  if (!options.json)
    for (const auto& finding : findings) say(base::to_text(finding));
  return base::exit_code_of(findings);
}

int pack(const Options& options) {
  const auto bundle = make_support_bundle(options);
  if (!bundle) return complain(bundle.error().text, kRefused);
  if (options.json) return say(Json{{"file", bundle->path}, {"contents", bundle->contents}}.dump(1) + "\n");
  say("It holds, and nothing else:\n");
  for (const auto& line : bundle->contents) say("  " + line + "\n");
  return say(bundle->path + "\n");
}

}  // namespace

int main(int argc, char** argv) try {
  const auto options = parse_options(argc, argv);
  if (options.exit_code) return *options.exit_code;
  if (options.command == Command::completion) return say(options.completion);
  if (options.command == Command::doctor) return run_doctor(options);
  if (options.command == Command::support_bundle) return pack(options);
  return ask(options);
} catch (const std::exception& failure) {
  return complain(std::string("internal error: ") + failure.what(), kRefused);
}
