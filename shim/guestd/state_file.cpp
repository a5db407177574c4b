#include "shim/guestd/state_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <sstream>
#include <system_error>

#include "common/base/replace_file.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::guestd {
namespace {

using base::Error;

constexpr size_t kLargest = 1 << 20;

Error file_error(const std::string& what, const std::string& path) {
  return {errno, what + " " + path + ": " + std::generic_category().message(errno)};
}

/// Labels hold printable characters only.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  return out + "\"";
}

std::string unquoted(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size() && text[i] != '"'; ++i)
    out += text[i] == '\\' && i + 1 < text.size() ? text[++i] : text[i];
  return out;
}

constexpr const char* kTail = "]}";

// One owner a line, numbers first: JSON for others, and readable for us line by line.
std::string to_text(const SavedState& state) {
  std::string text = fmt::format(R"({{"version": 1, "device": {}, "channels": [{})", quoted(state.device), "\n");
  for (size_t i = 0; i < state.owners.size(); ++i) {
    const SavedOwner& owner = state.owners[i];
    text += fmt::format(R"({{"channel": {}, "pid": {}, "started": {}, "uid": {}, "name": {}}}{})"
                        "\n",
                        owner.channel, owner.process.pid, owner.process.started, owner.uid, quoted(owner.name),
                        i + 1 < state.owners.size() ? "," : "");
  }
  return text + kTail + "\n";
}

bool read_head(const std::string& line, SavedState& state) {
  char device[64] = {};
  if (std::sscanf(line.c_str(), "{\"version\": 1, \"device\": \"%63[^\"]\", \"channels\": [", device) != 1)
    return false;
  state.device = device;
  return true;
}

bool read_owner(const std::string& line, SavedOwner& owner) {
  unsigned long long started = 0;
  int name_at = 0;
  if (std::sscanf(line.c_str(), "{\"channel\": %u, \"pid\": %d, \"started\": %llu, \"uid\": %u, \"name\": \"%n",
                  &owner.channel, &owner.process.pid, &started, &owner.uid, &name_at) != 4 ||
      name_at == 0)
    return false;
  owner.process.started = started;
  owner.name = unquoted(line.substr(static_cast<size_t>(name_at)));
  return true;
}

base::Result<std::string> read_file(const std::string& path) {
  const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return file_error("cannot read", path);
  std::string text(kLargest, '\0');
  const ssize_t count = ::read(file.get(), text.data(), text.size());
  if (count < 0) return file_error("cannot read", path);
  text.resize(static_cast<size_t>(count));
  return text;
}

}  // namespace

base::Result<void> save_state(const std::string& path, const SavedState& state) {
  return base::replace_file(path, to_text(state), 0644);
}

base::Result<SavedState> load_state(const std::string& path) {
  auto text = read_file(path);
  if (!text) return text.error();
  SavedState state;
  std::istringstream lines(*text);
  std::string line;
  if (!std::getline(lines, line) || !read_head(line, state)) return Error{EBADMSG, path + " is not vgpu-guestd's"};
  while (std::getline(lines, line)) {
    if (line == kTail) return state;
    SavedOwner owner;
    if (!read_owner(line, owner)) break;
    state.owners.push_back(std::move(owner));
  }
  return Error{EBADMSG, path + " is damaged"};
}

}  // namespace vgpu::guestd
