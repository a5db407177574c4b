// The guest's end of the ring. One producer per channel; its callers hold the append lock, which is private memory of
// the guest process.
#pragma once

#include <cstdint>
#include <span>

#include "common/shm/window.hpp"

namespace vgpu::ring {

class Producer {
 public:
  explicit Producer(const shm::Window& window) : window_(&window) {}

  /// Appends one record: `header.size` and `header.body` are filled in, `body` and `tail` follow the header. False if
  /// the ring is full; nothing is written then. The caller guarantees that header, body and tail fit into
  /// VGPU_RECORD_MAX.
  bool try_append(vgpu_record_header header, std::span<const uint8_t> body, std::span<const uint8_t> tail = {});

  /// True if the worker sleeps and the doorbell must be rung for what was appended. Call after try_append.
  bool must_ring() const;

  /// Bytes appended since the start: the position that `completed` and `head` are compared with.
  uint64_t position() const { return tail_; }

 private:
  bool has_room(uint64_t bytes);
  void write(uint64_t position, const void* from, size_t size);

  const shm::Window* window_;
  uint64_t tail_ = 0;
  uint64_t known_head_ = 0;
};

}  // namespace vgpu::ring
