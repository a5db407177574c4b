// What a worker is started with: arguments, environment, descriptors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/supervisor/spawn.hpp"

namespace vgpu::broker::supervisor {

struct WorkerLaunch {
  std::string path;
  std::uint64_t client = 0;
  std::string vm;
  std::string driver;
  std::string log_level;
  std::vector<std::string> guest_environment;  // "NAME=value", checked against the allow-list
  int window = -1;
  int doorbell = -1;
  int grant = -1;
  int control = -1;
  int client_pidfd = -1;       // so that a worker whose broker has died still sees its client end
  int brokers_control = -1;    // our own end of the control socket
  int client_connection = -1;  // our end; none for a channel of a VM
  /// Where the channel lies in the window's memory, and what it may grow to. Bytes.
  struct Place {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    std::uint64_t capacity = 0;
  } place;
  std::string log_format = "text";
  std::string log_file;  // empty: our standard error
};

/// Starts it. The descriptors stay the caller's.
base::Result<SpawnedProcess> launch_worker(const WorkerLaunch& launch);

/// A VM's worker for legacy requests: one descriptor, its control socket, which stays the caller's.
struct LegacyLaunch {
  std::string path;
  std::string vm;
  std::string driver;
  std::string log_level, log_format, log_file;
};
base::Result<SpawnedProcess> launch_legacy_worker(const LegacyLaunch& launch, int control);

/// `configured` if it is set, else vgpu-worker beside our own executable or in ../libexec. Fails if it cannot be
/// executed.
base::Result<std::string> find_worker(const std::string& configured);

}  // namespace vgpu::broker::supervisor
