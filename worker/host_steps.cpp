#include "worker/host_steps.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>

#include "worker/dispatch/replies.hpp"
#include "worker/objects/limits.hpp"

namespace vgpu::worker {
namespace {

/// Returns when `step_done` may have changed from `seen`.
void wait_for_agent(const shm::Window& window, uint32_t seen) {
  const bool polls =
      (window.word32(offsetof(vgpu_control, guest_flags)).load(std::memory_order_relaxed) & VGPU_GUEST_POLLS) != 0;
  // A guest without futexes wakes nobody: its agent answers within some hundred microseconds, or takes its time.
  const timespec longest = polls ? timespec{0, 200'000} : timespec{1, 0};
  ::syscall(SYS_futex, window.bytes(offsetof(vgpu_control, step_done), 4), FUTEX_WAIT, seen, &longest, nullptr, 0);
}

}  // namespace
namespace {

constexpr uint64_t kStepsInPage = 64;

}  // namespace

HostSteps::Step* HostSteps::make(uint64_t callback, bool repeatable) {
  const std::lock_guard lock(steps_lock_);
  if (repeatable ? kept_ >= kMostStepsKept : steps_.size() - kept_ >= kMostStepsQueued) return nullptr;
  if (repeatable) ++kept_;
  steps_.push_front({this, callback, repeatable, {}});
  steps_.front().self = steps_.begin();
  return &steps_.front();
}

void HostSteps::drop(Step* step) {
  const std::lock_guard lock(steps_lock_);
  if (step->repeatable) --kept_;
  steps_.erase(step->self);
}

void HostSteps::stop() { stopped_.store(true, std::memory_order_relaxed); }

void HostSteps::run_host_function(void* step) {
  auto* self = static_cast<Step*>(step);
  self->owner->run(self, cuda::CUDA_SUCCESS);
}

void HostSteps::run_stream_callback(cuda::CUstream, cuda::CUresult status, void* step) {
  auto* self = static_cast<Step*>(step);
  self->owner->run(self, status);
}

void HostSteps::run(Step* step, cuda::CUresult status) {
  {
    const std::lock_guard lock(run_lock_);
    const uint64_t entry = offsetof(vgpu_control, steps) + posted_ % kStepsInPage * 16;
    window_->word64(entry).store(step->callback, std::memory_order_relaxed);
    window_->word64(entry + 8).store(static_cast<uint64_t>(status), std::memory_order_relaxed);
    ++posted_;
    // release: pairs with the agent's acquire load of step_posted.
    window_->word32(offsetof(vgpu_control, step_posted)).store(posted_, std::memory_order_release);
    std::atomic_thread_fence(
        std::memory_order_seq_cst);  // against the agent's fence between step_sleeping = 1 and its last look
    if (window_->word32(offsetof(vgpu_control, step_sleeping)).load(std::memory_order_relaxed) != 0)
      wake(*window_, offsetof(vgpu_control, step_posted));
    // The guest's function may take as long as it likes; the client's death ends this process, the session's end ends
    // the wait.
    const auto done = window_->word32(offsetof(vgpu_control, step_done));
    for (uint32_t seen = done.load(std::memory_order_acquire);
         static_cast<int32_t>(seen - posted_) < 0 && !stopped_.load(std::memory_order_relaxed);
         seen = done.load(std::memory_order_acquire)) {
      wait_for_agent(*window_, seen);
    }
  }
  if (!step->repeatable) drop(step);
}

}  // namespace vgpu::worker
