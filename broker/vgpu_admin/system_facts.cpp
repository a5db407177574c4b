#include "broker/vgpu_admin/system_facts.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "broker/vgpu_admin/processes.hpp"
#include "broker/vgpu_admin/reach.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::admin {
namespace {

namespace fs = std::filesystem;

constexpr std::time_t kRecent = 900;
constexpr std::size_t kLogTail = 1 << 20;  // bytes
constexpr const char* kLogs[] = {"/var/log/audit/audit.log", "/var/log/kern.log"};
constexpr const char* kDriverLibrary = "libcuda.so.1";
constexpr const char* kSoftwareGpu = "libvgpu-simcuda.so.1";
constexpr const char* kLibraryFolders[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/aarch64-linux-gnu",
                                           "/usr/local/nvidia/lib64",   "/usr/lib",   "/lib64"};

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string read_tail(const std::string& path) {
  const base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return {};
  const auto size = lseek(file.get(), 0, SEEK_END);
  std::string text(kLogTail, '\0');
  const auto count =
      pread(file.get(), text.data(), text.size(), std::max<off_t>(0, size - static_cast<off_t>(kLogTail)));
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

/// One record a read, until there is none.
std::string read_kernel_log(const std::string& path) {
  const base::UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  std::string text;
  char record[8192];
  for (int left = 100'000; file && left > 0; --left) {
    const auto count = read(file.get(), record, sizeof record);
    if (count < 0 && errno == EPIPE) continue;  // overwritten meanwhile
    if (count <= 0) break;
    text.append(record, static_cast<std::size_t>(count));
  }
  return text;
}

/// "... audit(1700000000.123:45): ..."; 0 if the line does not say.
std::time_t time_of(const std::string& line) {
  const auto at = line.find("audit(");
  return at == std::string::npos ? 0 : std::atoll(line.c_str() + at + 6);
}

void gather_denials(const std::string& root, std::time_t now, SystemFacts& facts) {
  if (read_text(root + "/sys/fs/selinux/enforce").starts_with('1')) facts.confinement = "SELinux";
  if (read_text(root + "/sys/module/apparmor/parameters/enabled").starts_with('Y')) facts.confinement = "AppArmor";
  auto log = read_kernel_log(root + "/dev/kmsg");
  for (const auto* path : kLogs) log += read_tail(root + path);
  facts.denials_readable = !log.empty();
  facts.denials = find_denials(log, now);
}

void gather_driver(const SystemQuestions& questions, SystemFacts& facts) {
  for (const auto* device : {"/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm", "/dev/dxg"}) {
    const auto path = questions.root + device;
    if (!exists(path)) continue;
    facts.devices.push_back(path);
    if (!compute_reach(path, questions.broker_uid, groups_of(questions.broker_uid)).can)
      facts.denied_devices.push_back(path);
  }
  for (const auto* folder : kLibraryFolders)
    if (const auto path = questions.root + folder + "/" + kDriverLibrary; facts.driver_library.empty() && exists(path))
      facts.driver_library = path;
  if (questions.driver.starts_with('/')) facts.driver_library = exists(questions.driver) ? questions.driver : "";
  const auto folder = fs::path(questions.worker).parent_path();
  for (const auto& path : {folder.parent_path() / "lib" / kSoftwareGpu, folder / kSoftwareGpu})
    if (facts.software_gpu.empty() && exists(path.string())) facts.software_gpu = path.string();
}

}  // namespace

std::vector<std::string> find_denials(const std::string& log, std::time_t now) {
  std::vector<std::string> found;
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const bool is_denial = line.find("apparmor=\"DENIED\"") != std::string::npos ||
                           (line.find("avc:") != std::string::npos && line.find("denied") != std::string::npos);
    const bool is_ours = line.find("vgpu") != std::string::npos || line.find("qemu") != std::string::npos;
    if (!is_denial || !is_ours || time_of(line) + kRecent < now) continue;
    // The kernel's ring and a file may both have it.
    line = printable(line.substr(std::min(line.size(), line.find("audit("))));
    if (std::find(found.begin(), found.end(), line) == found.end()) found.push_back(line);
  }
  return found;
}

SystemFacts gather_system(const SystemQuestions& questions) {
  SystemFacts facts;
  gather_denials(questions.root, questions.now, facts);
  gather_driver(questions, facts);
  facts.has_journal = exists(questions.root + "/run/systemd/journal/socket");
  return facts;
}

}  // namespace vgpu::admin
