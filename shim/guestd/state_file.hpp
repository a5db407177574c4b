// Which channel belongs to which process, for the vgpu-guestd that comes after this one. Replaced as a whole with every
// change.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/process_identity.hpp"
#include "common/base/result.hpp"

namespace vgpu::guestd {

struct SavedOwner {
  uint32_t channel = 0;
  base::ProcessIdentity process;
  uid_t uid = 0;
  std::string name;
};

struct SavedState {
  std::string device;  // its address
  std::vector<SavedOwner> owners;
};

base::Result<void> save_state(const std::string& path, const SavedState& state);
/// Error ENOENT if there is none; EBADMSG if it is not one that we wrote.
base::Result<SavedState> load_state(const std::string& path);

}  // namespace vgpu::guestd
