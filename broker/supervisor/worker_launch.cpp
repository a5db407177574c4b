#include "broker/supervisor/worker_launch.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "common/control/worker_descriptors.hpp"

namespace vgpu::broker::supervisor {
namespace {

std::vector<std::string> environment_with(const std::vector<std::string>& more) {
  std::vector<std::string> environment;
  for (const char* name : {"PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "JOURNAL_STREAM", "VGPU_SIM_DEVICES"})
    if (const char* value = getenv(name)) environment.push_back(std::string(name) + "=" + value);
  environment.insert(environment.end(), more.begin(), more.end());
  return environment;
}

base::Result<base::UniqueFd> open_null() {
  base::UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!null) return base::Error{errno, "cannot open /dev/null: " + std::generic_category().message(errno)};
  return null;
}

bool is_program(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

template <typename Launch>
void add_log_arguments(const Launch& launch, SpawnRequest& request) {
  auto& words = request.arguments;
  words.insert(words.end(), {"--log-level", launch.log_level, "--log-format", launch.log_format});
  if (!launch.log_file.empty()) words.insert(words.end(), {"--log-file", launch.log_file});
}

}  // namespace

base::Result<SpawnedProcess> launch_worker(const WorkerLaunch& launch) {
  const auto null = open_null();
  if (!null) return null.error();
  SpawnRequest request;
  request.path = launch.path;
  request.arguments = {"vgpu-worker", "--client",   std::to_string(launch.client), "--vm", launch.vm,
                       "--driver",    launch.driver};
  add_log_arguments(launch, request);
  const auto& place = launch.place;
  const bool is_whole = place.offset == 0 && place.capacity == place.size;  // memory of its own
  if (!is_whole)
    request.arguments.insert(request.arguments.end(),
                             {"--window-offset", std::to_string(place.offset), "--window-size",
                              std::to_string(place.size), "--window-capacity", std::to_string(place.capacity)});
  request.environment = environment_with(launch.guest_environment);
  request.descriptors.assign(control::kWorkerDescriptorEnd, -1);
  auto& place_in = request.descriptors;
  place_in[STDIN_FILENO] = null->get();
  place_in[STDOUT_FILENO] = place_in[STDERR_FILENO] = STDERR_FILENO;
  place_in[control::kWindowDescriptor] = launch.window;
  place_in[control::kDoorbellDescriptor] = launch.doorbell;
  place_in[control::kGrantDescriptor] = launch.grant;
  place_in[control::kControlDescriptor] = launch.control;
  place_in[control::kClientDescriptor] = launch.client_pidfd;
  place_in[control::kBrokersControlDescriptor] = launch.brokers_control;
  place_in[control::kBrokersConnectionDescriptor] = launch.client_connection;
  if (launch.client_connection < 0) request.descriptors.pop_back();
  return spawn(request);
}

base::Result<SpawnedProcess> launch_legacy_worker(const LegacyLaunch& launch, int control) {
  const auto null = open_null();
  if (!null) return null.error();
  SpawnRequest request;
  request.path = launch.path;
  request.arguments = {"vgpu-worker", "--legacy", "--vm", launch.vm, "--driver", launch.driver};
  add_log_arguments(launch, request);
  request.environment = environment_with({});
  request.descriptors = {null->get(), STDERR_FILENO, STDERR_FILENO, control};
  static_assert(control::kLegacyControlDescriptor == 3);
  return spawn(request);
}

base::Result<std::string> find_worker(const std::string& configured) {
  namespace fs = std::filesystem;
  if (!configured.empty()) {
    if (is_program(configured)) return fs::absolute(configured).string();
    return base::Error{ENOENT, "the worker program " + configured + " is not an executable file"};
  }
  std::error_code error;
  const auto folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const char* place : {"vgpu-worker", "../libexec/vgpu-worker", "../libexec/vgpu/vgpu-worker"})
    if (is_program(folder / place)) return (folder / place).lexically_normal().string();
  return base::Error{ENOENT, "there is no vgpu-worker in " + folder.string() +
                                 " or in libexec beside it; say where with " +
                                 "--worker, or worker in the configuration"};
}

}  // namespace vgpu::broker::supervisor
