// Answers to guest threads: reply slots in the window.
#pragma once

#include <array>
#include <cstdint>

#include "common/shm/window.hpp"
#include "worker/dispatch/call.hpp"

namespace vgpu::worker {

class Replies {
 public:
  explicit Replies(const shm::Window& window) : window_(&window) {}

  /// Writes the call's answer into its thread's slot and wakes the thread if it sleeps. A posted call that failed is
  /// remembered instead, and told with the thread's next answer.
  void answer(const Call& call);

 private:
  const shm::Window* window_;
  std::array<uint32_t, VGPU_SLOT_COUNT> deferred_{};
};

/// Wakes whoever sleeps on a word of the window.
void wake(const shm::Window& window, uint64_t offset);

}  // namespace vgpu::worker
