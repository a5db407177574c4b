#include "broker/vgpu_admin/support_bundle.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <system_error>

#include "broker/vgpu_admin/ask.hpp"
#include "broker/vgpu_admin/examine.hpp"
#include "broker/vgpu_admin/gather.hpp"
#include "broker/vgpu_admin/processes.hpp"

extern char** environ;

namespace vgpu::admin {
namespace {

namespace fs = std::filesystem;
using base::Error;
using base::Result;

constexpr std::size_t kLogTail = 1 << 20;  // bytes

Error os_error(int code, const std::string& what) {
  return {code, what + ": " + std::generic_category().message(code)};
}

/// Runs a program to its end; its output goes to `output` if that is named. The exit status, or -1.
int run(std::vector<std::string> command, const std::string& output = "/dev/null") {
  std::vector<char*> arguments;
  for (auto& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  int status = -1;
  const bool is_running = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  if (!is_running || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

/// A folder that is filled, packed, and removed.
class Parcel {
 public:
  static Result<Parcel> create(const std::string& name) {
    auto pattern = (fs::temp_directory_path() / "vgpu-admin-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) return os_error(errno, "cannot make a folder for the bundle");
    fs::create_directory(pattern + "/" + name);
    return Parcel(pattern, name);
  }
  Parcel(Parcel&& other) noexcept : top_(std::exchange(other.top_, "")), name_(other.name_), contents(other.contents) {}
  ~Parcel() {
    std::error_code ignored;
    if (!top_.empty()) fs::remove_all(top_, ignored);
  }

  std::string path(const std::string& file) const { return top_ + "/" + name_ + "/" + file; }
  void add(const std::string& file, const std::string& what, const std::string& text) {
    std::ofstream(path(file), std::ios::binary) << text;
    note(file, what);
  }
  void note(const std::string& file, const std::string& what) { contents.push_back(file + ": " + what); }
  Result<void> pack(const std::string& output) {
    const mode_t mask = umask(0077);  // whose programs run is nobody else's business
    const int status = run({"tar", "-C", top_, "-czf", output, name_});
    umask(mask);
    if (status == 0) return {};
    return Error{0, "tar cannot write " + output + "; name a file that can be written with --output"};
  }

 private:
  Parcel(std::string top, std::string name) : top_(std::move(top)), name_(std::move(name)) {}
  std::string top_, name_;

 public:
  std::vector<std::string> contents;
};

void add_answers(Parcel& parcel, const std::string& socket) {
  auto broker = Broker::connect(socket);
  if (!broker) return parcel.add("broker-does-not-answer.txt", "why", broker.error().text + "\n");
  struct Question {
    const char* file;
    const char* what;
    Json request;
  };
  const Question questions[] = {
      {"status.json", "how the broker is", {{"request", "status"}}},
      {"settings.json", "the configuration in force", {{"request", "settings"}}},
      {"vms.json", "VMs, their links and counts", {{"request", "list"}, {"what", "vms"}}},
      {"clients.json", "clients, with pid and uid", {{"request", "list"}, {"what", "clients"}}},
      {"workers.json", "workers", {{"request", "list"}, {"what", "workers"}}},
      {"gpus.json", "GPUs, as workers say", {{"request", "list"}, {"what", "gpus"}}},
      {"sockets.json", "sockets", {{"request", "list"}, {"what", "sockets"}}}};
  for (const auto& [file, what, request] : questions) {
    const auto answer = broker->ask(request);
    parcel.add(file, what, answer ? answer->dump(1) + "\n" : answer.error().text + "\n");
  }
}

std::string versions() {
  utsname system{};
  uname(&system);
  auto text =
      fmt::format("vgpu-admin {}\nkernel {} {} {}\n", VGPU_VERSION, system.sysname, system.release, system.machine);
  for (const auto* file : {"/etc/os-release", "/proc/driver/nvidia/version", "/proc/sys/kernel/yama/ptrace_scope"})
    if (const auto more = read_text(file); !more.empty()) text += std::string("\n") + file + "\n" + more;
  return text;
}

std::string findings_text(const Findings& findings) {
  std::string text;
  for (const auto& finding : findings) text += base::to_text(finding);
  return text;
}

std::string tail_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto size = static_cast<std::size_t>(std::max<std::streamoff>(0, file.tellg()));
  file.seekg(static_cast<std::streamoff>(size > kLogTail ? size - kLogTail : 0));
  std::string text(std::min(size, kLogTail), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  return text;
}

void add_log(Parcel& parcel, const std::string& log) {
  if (log.starts_with('/') && fs::is_regular_file(log)) return parcel.add("log.txt", "the end of " + log, tail_of(log));
  if (run({"journalctl", "-u", "vgpu-broker", "-n", "5000", "--no-pager"}, parcel.path("log.txt")) == 0)
    return parcel.note("log.txt", "the end of the journal of vgpu-broker");
  parcel.add(
      "log.txt", "no log was found",
      "The broker's log is not known: its standard error goes to " + (log.empty() ? "an unknown place" : log) + "\n");
}

std::string default_name() {
  utsname system{};
  uname(&system);
  const auto now = std::time(nullptr);
  std::tm when{};
  gmtime_r(&now, &when);
  char time[32];
  std::strftime(time, sizeof time, "%Y%m%dT%H%M%SZ", &when);
  return fmt::format("vgpu-support-{}-{}", system.nodename, time);
}

}  // namespace

Result<SupportBundle> make_support_bundle(const Options& options) {
  const auto name = default_name();
  auto parcel = Parcel::create(name);
  if (!parcel) return parcel.error();
  const auto facts = gather(options);
  const auto findings = examine(facts);
  add_answers(*parcel, facts.broker.admin_socket);
  parcel->add("doctor.txt", "what vgpu-admin doctor finds", findings_text(findings));
  parcel->add("doctor.json", "the same", to_json(findings).dump(1) + "\n");
  parcel->add("versions.txt", "program, kernel, system, driver", versions());
  if (facts.config.exists) parcel->add("broker.toml", "copy of " + facts.config.path, read_text(facts.config.path));
  add_log(*parcel, facts.broker.log);
  const auto output = options.output.empty() ? fs::current_path().string() + "/" + name + ".tar.gz" : options.output;
  if (auto packed = parcel->pack(output); !packed) return packed.error();
  return SupportBundle{output, std::move(parcel->contents)};
}

}  // namespace vgpu::admin
