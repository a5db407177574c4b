// How a VM that is reached through a device is just now, for whoever displays it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace vgpu::broker::vm {

struct VmReport {
  std::string link;    // "up", "down", "ending": its last life is still being reclaimed; "legacy": a stub of revision 2
  std::string socket;  // where its stub connects
  pid_t stub_pid = 0;  // 0: none is connected
  uid_t stub_uid = 0;
  std::uint64_t window_size = 0;  // bytes; 0: none
  pid_t legacy_worker = 0;        // 0: none runs
  std::uint32_t label_vm_id = 0;  // labels: what the device says of itself
  char label_pool = '?';
  std::uint32_t label_priority = 0;
};

}  // namespace vgpu::broker::vm
