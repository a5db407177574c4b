// fork + exec of a program with an explicit list of descriptors.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>

#include <string>
#include <vector>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::broker::supervisor {

struct SpawnRequest {
  std::string path;
  std::vector<std::string> arguments;    // argv[0] included
  std::vector<std::string> environment;  // "NAME=value": all of it
  std::vector<int> descriptors;  // the program's descriptor i is a copy of descriptors[i]; all others are closed
};

struct SpawnedProcess {
  pid_t pid = 0;
  base::UniqueFd pidfd;
};

/// Takes the exit of a child that has ended: true, and what waitid() says of it (si_pid 0: it has not ended yet). False
/// with errno ECHILD: it is not our child.
bool take_exit(int pidfd, siginfo_t& info);

/// Starts the program in a session of its own, with default signal handling. It outlives us if it likes. A program that
/// cannot be executed is an error here, not an exit code later. The caller reaps it through the pidfd.
base::Result<SpawnedProcess> spawn(const SpawnRequest& request);

}  // namespace vgpu::broker::supervisor
