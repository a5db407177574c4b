#include "common/ring/producer.hpp"

#include <cstddef>

namespace vgpu::ring {
namespace {

constexpr uint64_t align(uint64_t size) {
  return (size + VGPU_RECORD_ALIGN - 1) & ~static_cast<uint64_t>(VGPU_RECORD_ALIGN - 1);
}

}  // namespace

bool Producer::has_room(uint64_t bytes) {
  if (tail_ + bytes - known_head_ <= VGPU_RING_SIZE) return true;
  // acquire: pairs with the consumer's release store of head; what it has read we may overwrite.
  const uint64_t head = window_->word64(offsetof(vgpu_control, head)).load(std::memory_order_acquire);
  if (head > tail_ || tail_ - head > VGPU_RING_SIZE) return false;  // nonsense from the other side counts as full
  known_head_ = head;
  return tail_ + bytes - known_head_ <= VGPU_RING_SIZE;
}

void Producer::write(uint64_t position, const void* from, size_t size) {
  if (size != 0) std::memcpy(window_->bytes(VGPU_RING_OFFSET + (position & (VGPU_RING_SIZE - 1)), size), from, size);
}

bool Producer::try_append(vgpu_record_header header, std::span<const uint8_t> body, std::span<const uint8_t> tail) {
  header.size = static_cast<uint32_t>(align(sizeof header + body.size() + tail.size()));
  header.body = static_cast<uint32_t>(body.size() + tail.size());
  const uint64_t to_end = VGPU_RING_SIZE - (tail_ & (VGPU_RING_SIZE - 1));
  const uint64_t padding = header.size > to_end ? to_end : 0;  // records are contiguous
  if (!has_room(padding + header.size)) return false;
  if (padding != 0) {
    const struct {
      uint32_t size;
      uint16_t op;
      uint16_t flags;
    } pad{static_cast<uint32_t>(padding), VGPU_OP_PAD, 0};
    write(tail_, &pad, sizeof pad);
    tail_ += padding;
  }
  write(tail_, &header, sizeof header);
  write(tail_ + sizeof header, body.data(), body.size());
  write(tail_ + sizeof header + body.size(), tail.data(), tail.size());
  tail_ += header.size;
  // release: pairs with the consumer's acquire load of tail; the record is complete before it is announced.
  window_->word64(offsetof(vgpu_control, tail)).store(tail_, std::memory_order_release);
  return true;
}

bool Producer::must_ring() const {
  // Store-load fence: pairs with the fence in Consumer::announce_sleep. Either we see SLEEPING, or the worker sees our
  // tail.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return window_->word32(offsetof(vgpu_control, worker_state)).load(std::memory_order_relaxed) == VGPU_WORKER_SLEEPING;
}

}  // namespace vgpu::ring
