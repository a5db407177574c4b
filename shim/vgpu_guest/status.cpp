#include "shim/vgpu_guest/status.hpp"

#include <cstdio>

#include "common/control/exit_class.hpp"
#include "shim/guestd/device.hpp"
#include "shim/guestd/report.hpp"
#include "shim/vgpu_guest/json_text.hpp"

namespace vgpu::guest {
namespace {

std::string end_of(const ChannelReport& channel) {
  return channel.state == "lost" ? control::describe(control::from_word(channel.exit_word)) : "";
}

std::string channel_text(const ChannelReport& channel) {
  char line[256];
  std::snprintf(line, sizeof line, "  %3u  %-8s pid %-8d uid %-6u client %-6llu at %-8s  %s%s%s\n", channel.number,
                channel.state.c_str(), channel.pid, channel.uid, static_cast<unsigned long long>(channel.client),
                (std::to_string(channel.offset >> 20) + " MiB").c_str(), channel.name.c_str(),
                end_of(channel).empty() ? "" : ": worker ended: ", end_of(channel).c_str());
  return line;
}

/// The same report, made here; nobody is known to own anything.
base::Result<DaemonReport> ask_device(const Options& options) {
  auto device = guestd::open_device(options.pci_root, options.device);
  if (!device) return device.error();
  return parse_report(guestd::make_report(*device, {}, 0));
}

}  // namespace

std::string status_text(const DaemonReport& report) {
  std::string text = "device      " + report.word("device") + ", revision " + report.word("revision") + "\n";
  text += "link        " + report.word("link") + (report.word("link") == "up" ? ", VM " : ": ") +
          report.word("link_text") + "\n";
  text += "broker      pid " + report.word("broker_pid") + " on the host\n";
  text += "window      " + std::to_string(report.number("window_size") >> 20) + " MiB, generation " +
          report.word("generation") + "\n";
  text += "channels    " + std::to_string(report.channels.size()) + " of " + report.word("channel_limit") +
          " in use, " + report.word("waiting") + " programs wait\n";
  if (report.number("mistakes") != 0) text += "mistakes    " + report.word("mistakes") + " accesses broke a rule\n";
  for (const ChannelReport& channel : report.channels) text += channel_text(channel);
  return text;
}

std::string status_json(const DaemonReport& report) {
  JsonText json;
  json.begin();
  for (const char* key : {"device", "link", "link_text"}) json.add(key, report.word(key));
  for (const char* key :
       {"revision", "generation", "broker_pid", "mistakes", "window_size", "channel_limit", "waiting"})
    json.add(key, report.number(key));
  json.begin_list("channels");
  for (const ChannelReport& channel : report.channels) {
    json.begin().add("channel", channel.number).add("state", channel.state).add("pid", channel.pid);
    json.add("uid", channel.uid).add("client", channel.client).add("offset", channel.offset);
    json.add("exit", end_of(channel)).add("name", channel.name).end();
  }
  return json.end_list().end().text() + "\n";
}

int show_status(const Options& options) {
  auto report = ask_daemon(options.socket);
  if (!report) {
    std::fprintf(stderr, "vgpu-guest: %s\n", report.error().text.c_str());
    report = ask_device(options);
  }
  if (!report) {
    std::fprintf(stderr, "vgpu-guest: %s\nvgpu-guest: run vgpu-guest doctor\n", report.error().text.c_str());
    return kBroken;
  }
  std::fputs((options.json ? status_json(*report) : status_text(*report)).c_str(), stdout);
  return report->word("link") == "up" ? kGood : kBroken;
}

}  // namespace vgpu::guest
