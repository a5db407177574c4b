#include "common/ring/consumer.hpp"

#include <cstddef>

namespace vgpu::ring {

Consumer::Consumer(const shm::Window& window) : window_(&window), copy_(VGPU_RECORD_MAX) {}

Next Consumer::broken(const char* problem) {
  problem_ = problem;
  return Next::broken;
}

bool Consumer::refresh_tail() {
  // acquire: pairs with the producer's release store; records up to tail are complete.
  const uint64_t tail = window_->word64(offsetof(vgpu_control, tail)).load(std::memory_order_acquire);
  if (tail < tail_ || tail - head_ > VGPU_RING_SIZE || tail % VGPU_RECORD_ALIGN != 0) return false;
  tail_ = tail;
  return true;
}

void Consumer::publish_head() {
  // release: pairs with the producer's acquire load; we have read everything before head.
  window_->word64(offsetof(vgpu_control, head)).store(head_, std::memory_order_release);
}

Next Consumer::next(Record& record) {
  for (;;) {
    if (problem_ != nullptr) return Next::broken;
    if (head_ == tail_) {
      if (!refresh_tail()) return broken("a tail that no producer writes");
      if (head_ == tail_) return Next::empty;
    }
    const uint64_t at = head_ & (VGPU_RING_SIZE - 1);
    const uint64_t limit = std::min<uint64_t>(tail_ - head_, VGPU_RING_SIZE - at);
    // The first word is loaded once; everything below uses this copy.
    struct {
      uint32_t size;
      uint16_t op;
      uint16_t flags;
    } first{};
    window_->copy_out(VGPU_RING_OFFSET + at, {reinterpret_cast<uint8_t*>(&first), sizeof first});
    if (first.size % VGPU_RECORD_ALIGN != 0 || first.size == 0 || first.size > limit)
      return broken("a record size that does not fit the ring");
    if (first.op == VGPU_OP_PAD) {
      head_ += first.size;
      publish_head();
      continue;
    }
    if (first.size < sizeof record.header || first.size > VGPU_RECORD_MAX)
      return broken("a record that is too small or too large");
    window_->copy_out(VGPU_RING_OFFSET + at, {copy_.data(), first.size});
    std::memcpy(&record.header, copy_.data(), sizeof record.header);
    record.header.size = first.size;  // what was checked, should the guest have changed it since
    if (record.header.body > first.size - sizeof record.header)
      return broken("a record whose body is larger than the record");
    record.body = {copy_.data() + sizeof record.header, record.header.body};
    head_ += first.size;
    publish_head();
    return Next::record;
  }
}

bool Consumer::announce_sleep() {
  auto state = window_->word32(offsetof(vgpu_control, worker_state));
  state.store(VGPU_WORKER_SLEEPING, std::memory_order_relaxed);
  // Store-load fence: pairs with the one in Producer::must_ring.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (window_->word64(offsetof(vgpu_control, tail)).load(std::memory_order_acquire) == head_) return true;
  announce_awake();
  return false;
}

void Consumer::announce_awake() {
  window_->word32(offsetof(vgpu_control, worker_state)).store(VGPU_WORKER_AWAKE, std::memory_order_relaxed);
}

}  // namespace vgpu::ring
