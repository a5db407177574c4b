#include "broker/vgpu_admin/processes.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace vgpu::admin {
namespace {

constexpr const char* kDefaultDeviceSocket = "/tmp/vgpu-mediator.sock";

std::string read_link(const std::string& path) {
  char target[PATH_MAX];
  const auto length = readlink(path.c_str(), target, sizeof target);
  return length > 0 ? std::string(target, static_cast<std::size_t>(length)) : std::string();
}

std::string proc(pid_t pid, const char* name) { return fmt::format("/proc/{}/{}", pid, name); }

/// The value of "socket=..." among the device's properties.
std::string socket_of(const std::string& device) {
  std::istringstream properties(device);
  std::string socket = kDefaultDeviceSocket;
  for (std::string property; std::getline(properties, property, ',');)
    if (property.starts_with("socket=")) socket = property.substr(7);
  return socket;
}

std::optional<QemuFacts> look_at(pid_t pid) {
  const auto argument = find_device(read_text(proc(pid, "cmdline")));
  if (!argument) return std::nullopt;
  QemuFacts qemu;
  qemu.pid = pid;
  qemu.device = argument->device;
  struct stat status {};
  if (stat(proc(pid, "").c_str(), &status) == 0) qemu.uid = status.st_uid;
  qemu.root = read_link(proc(pid, "root"));
  if (qemu.root.empty()) qemu.root = "/";  // another user's: not for us to see
  qemu.socket = qemu.root == "/" ? argument->socket : qemu.root + argument->socket;
  qemu.socket_exists = stat(qemu.socket.c_str(), &status) == 0;
  return qemu;
}

}  // namespace

std::string read_text(const std::string& path, std::size_t most) {
  std::ifstream file(path, std::ios::binary);
  std::string text(most, '\0');
  file.read(text.data(), static_cast<std::streamsize>(most));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

std::string printable(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

bool is_alive(pid_t pid) {
  const auto stat = read_text(proc(pid, "stat"));
  const auto at = stat.rfind(") ");
  return at != std::string::npos && at + 2 < stat.size() && stat[at + 2] != 'Z' && stat[at + 2] != 'X';
}

std::string program_of(pid_t pid) {
  auto name = read_text(proc(pid, "comm"));
  if (name.ends_with('\n')) name.pop_back();
  return printable(std::move(name));
}

pid_t lock_holder(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return 0;
  const auto file = fmt::format("{:02x}:{:02x}:{}", major(status.st_dev), minor(status.st_dev),
                                static_cast<std::uint64_t>(status.st_ino));
  std::istringstream locks(read_text("/proc/locks"));
  for (std::string line; std::getline(locks, line);) {
    std::istringstream words(line);
    std::string number, kind, mode, access, pid, place;
    words >> number >> kind >> mode >> access >> pid >> place;
    if (kind == "FLOCK" && place == file) return std::atoi(pid.c_str());
  }
  return 0;
}

std::string standard_error_of(pid_t pid) {
  const auto target = read_link(proc(pid, "fd/2"));
  if (target.starts_with("socket:")) return "the journal: journalctl -u vgpu-broker";
  if (target.starts_with("pipe:")) return "a pipe of whoever started it";
  return target == "/dev/null" ? "nowhere: its standard error is /dev/null" : printable(target);
}

std::optional<DeviceArgument> find_device(const std::string& command_line) {
  std::istringstream arguments(command_line);
  bool is_device = false;
  for (std::string argument; std::getline(arguments, argument, '\0');) {
    if (is_device && (argument == "vgpu-stub" || argument.starts_with("vgpu-stub,")))
      return DeviceArgument{printable(argument), printable(socket_of(argument))};
    is_device = argument == "-device" || argument == "--device";
  }
  return std::nullopt;
}

std::vector<QemuFacts> find_qemus() {
  std::vector<QemuFacts> qemus;
  auto* folder = opendir("/proc");
  if (folder == nullptr) return qemus;
  while (const auto* entry = readdir(folder)) {
    const auto pid = static_cast<pid_t>(std::atoi(entry->d_name));
    if (pid <= 0) continue;
    if (auto qemu = look_at(pid)) qemus.push_back(std::move(*qemu));
  }
  closedir(folder);
  return qemus;
}

}  // namespace vgpu::admin
