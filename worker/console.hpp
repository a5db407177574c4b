// Device printf and assert text: what the driver prints to this process's standard streams goes to the guest's
// (decision 17).
#pragma once

#include <cstdint>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/shm/window.hpp"

namespace vgpu::worker {

class Console {
 public:
  explicit Console(const shm::Window& window) : window_(&window) {}

  /// Turns descriptors 1 and 2 of this process into files in memory that collect() reads. The log must have its own
  /// descriptor by then.
  base::Result<void> capture_standard_streams();

  /// Publishes what was printed since the last time, as far as the guest's console has room; the rest follows at the
  /// next call. Of a guest that reads nothing only the last kMostUnreadText bytes or so are kept.
  void collect();

 private:
  struct Stream {
    base::UniqueFd file;
    uint64_t published = 0;
    uint32_t mark = 0;
  };
  bool publish(Stream& stream);
  bool copy_to_guest(Stream& stream);

  const shm::Window* window_;
  Stream streams_[2]{{{}, 0, 0}, {{}, 0, 0x80000000u}};
  uint32_t tail_ = 0;
};

}  // namespace vgpu::worker
