#include "shim/vgpu_guest/daemon_report.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>
#include <system_error>

#include "common/base/unique_fd.hpp"
#include "common/control/deadline.hpp"
#include "shim/guestd/report.hpp"

namespace vgpu::guest {
namespace {

using base::Error;

constexpr std::chrono::milliseconds kAnswerTime{5000};
constexpr size_t kLargest = 1 << 20;

Error no_daemon(int code, const std::string& path) {
  std::string text = "vgpu-guestd does not answer at " + path + ": " + std::generic_category().message(code);
  if (code == EACCES) text += "; this user may not ask it (see --socket-mode of vgpu-guestd)";
  return {code, text};
}

/// Connected, or why not. A full backlog of a daemon that hangs is an error too: EAGAIN.
base::Result<base::UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return no_daemon(ENAMETOOLONG, path);
  path.copy(address.sun_path, path.size());
  base::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return no_daemon(errno, path);
  return socket;
}

bool read_channel(const std::string& line, ChannelReport& channel) {
  std::istringstream words(line);
  std::string key;
  words >> channel.number >> channel.state;
  while (words >> key && key != "name") {
    if (key == "pid") words >> channel.pid;
    if (key == "uid") words >> channel.uid;
    if (key == "client") words >> channel.client;
    if (key == "offset") words >> channel.offset;
    if (key == "exit") words >> channel.exit_word;
  }
  std::getline(words >> std::ws, channel.name);
  return !channel.state.empty();
}

}  // namespace

std::string DaemonReport::word(const std::string& key) const {
  const auto found = words.find(key);
  return found == words.end() ? std::string() : found->second;
}

uint64_t DaemonReport::number(const std::string& key) const { return std::strtoull(word(key).c_str(), nullptr, 10); }

base::Result<DaemonReport> parse_report(const std::string& text) {
  DaemonReport report;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line == "end") return report;
    const auto space = line.find(' ');
    const std::string key = line.substr(0, space);
    const std::string value = space == std::string::npos ? "" : line.substr(space + 1);
    ChannelReport channel;
    if (key != "channel")
      report.words[key] = value;
    else if (read_channel(value, channel))
      report.channels.push_back(std::move(channel));
  }
  return Error{EBADMSG, "vgpu-guestd's report is cut off"};
}

base::Result<DaemonReport> ask_daemon(const std::string& socket) {
  const std::string path = socket + guestd::kStatusSuffix;
  auto connection = connect_to(path);
  if (!connection) return connection.error();
  const auto deadline = control::Deadline::after(kAnswerTime);
  std::string text;
  while (text.size() < kLargest) {
    pollfd entry{connection->get(), POLLIN, 0};
    if (::poll(&entry, 1, deadline.remaining_ms()) <= 0 && deadline.passed()) return no_daemon(ETIMEDOUT, path);
    char part[4096];
    const ssize_t count = ::recv(connection->get(), part, sizeof part, 0);
    if (count == 0) break;
    if (count > 0) text.append(part, static_cast<size_t>(count));
    if (count < 0 && errno != EAGAIN && errno != EINTR) return no_daemon(errno, path);
  }
  return parse_report(text);
}

}  // namespace vgpu::guest
