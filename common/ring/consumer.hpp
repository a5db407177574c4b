// The worker's end of the ring. It trusts nothing in it: positions and sizes are checked, a record is copied once into
// private memory, and its own position lives in private memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/shm/window.hpp"

namespace vgpu::ring {

/// One record in private memory: valid until the next call of Consumer::next.
struct Record {
  vgpu_record_header header{};
  std::span<const uint8_t> body;
};

enum class Next { record, empty, broken };

class Consumer {
 public:
  explicit Consumer(const shm::Window& window);

  /// Copies the next record out. `broken`: the guest wrote what no producer writes; problem() says what. The channel is
  /// unusable then.
  Next next(Record& record);
  const char* problem() const { return problem_; }

  /// Publishes that the worker will sleep; false if a record came meanwhile, and the worker must not sleep.
  bool announce_sleep();
  void announce_awake();

  /// Bytes consumed since the start.
  uint64_t position() const { return head_; }

 private:
  Next broken(const char* problem);
  bool refresh_tail();
  void publish_head();

  const shm::Window* window_;
  uint64_t head_ = 0;
  uint64_t tail_ = 0;  // last valid value seen
  const char* problem_ = nullptr;
  std::vector<uint8_t> copy_;
};

}  // namespace vgpu::ring
