// fork + exec of a program with an explicit list of descriptors.
#pragma once

#include <sys/types.h>

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

/// Starts the program in a session of its own, with default signal handling. It outlives us if it likes. A program that
/// cannot be executed is an error here, not an exit code later. The caller reaps it through the pidfd.
base::Result<SpawnedProcess> spawn(const SpawnRequest& request);

}  // namespace vgpu::broker::supervisor
