// Which process a pid stood for: a pid alone may by now be another's.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::base {

struct ProcessIdentity {
  pid_t pid = 0;
  std::uint64_t started = 0;  // clock ticks since boot (proc(5), starttime); 0: it had gone already
  bool operator==(const ProcessIdentity&) const = default;
};

/// The process that has this pid now.
ProcessIdentity identify(pid_t pid);

/// A pidfd of that very process, a zombie's too; error ESRCH if it is gone.
Result<UniqueFd> open_process(const ProcessIdentity& identity);

/// True if the process behind a pidfd has ended.
bool has_ended(int pidfd);

}  // namespace vgpu::base
