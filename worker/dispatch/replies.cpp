#include "worker/dispatch/replies.hpp"

#include "worker/dispatch/rows.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstddef>
#include <utility>

namespace vgpu::worker {

void wake(const shm::Window& window, uint64_t offset) {
  ::syscall(SYS_futex, window.bytes(offset, 4), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void Replies::answer(const Call& call) {
  const uint32_t slot = call.header().slot;  // checked against VGPU_SLOT_COUNT at intake
  if (call.posted()) {
    if (call.result() != cuda::CUDA_SUCCESS && deferred_[slot] == 0)
      deferred_[slot] = static_cast<uint32_t>(call.result());
    return;
  }
  // A call that makes something must not fail for what an earlier one did: the guest would forget what was made.
  const uint32_t deferred = call.row()->surfaces ? std::exchange(deferred_[slot], 0) : 0;
  const uint64_t base = shm::slot_offset(slot);
  const wire::Bytes data = call.result() == cuda::CUDA_SUCCESS ? call.reply().written() : wire::Bytes{};
  window_->copy_in(base + offsetof(vgpu_slot, data), data);
  window_->word32(base + offsetof(vgpu_slot, result))
      .store(static_cast<uint32_t>(call.result()), std::memory_order_relaxed);
  window_->word32(base + offsetof(vgpu_slot, deferred)).store(deferred, std::memory_order_relaxed);
  window_->word32(base + offsetof(vgpu_slot, length))
      .store(static_cast<uint32_t>(data.size() + call.direct()), std::memory_order_relaxed);
  // release: pairs with the waiting thread's acquire load of sequence; the answer is complete before it is announced.
  window_->word32(base + offsetof(vgpu_slot, sequence)).store(call.header().sequence, std::memory_order_release);
  // Store-load fence: pairs with the thread's fence between sleeping = 1 and its last look at sequence.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (window_->word32(base + offsetof(vgpu_slot, sleeping)).load(std::memory_order_relaxed) != 0)
    wake(*window_, base + offsetof(vgpu_slot, sequence));
}

}  // namespace vgpu::worker
