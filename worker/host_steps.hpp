// Host functions: a stream of the real driver reaches a point, the guest's function runs, the stream goes on.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>

#include "common/api/cuda_types.hpp"
#include "common/shm/window.hpp"

namespace vgpu::worker {

/// Runs on the driver's callback thread, beside the dispatcher; never through the ring.
class HostSteps {
 public:
  explicit HostSteps(const shm::Window& window) : window_(&window) {}

  /// What the driver is handed as user data. One that a graph may run again is kept for the session's life.
  struct Step {
    HostSteps* owner;
    uint64_t callback;  ///< the guest's number
    bool repeatable;
    std::list<Step>::iterator self;
    uint32_t copy_role = 0;  ///< what it is to a graph's copy (common/api/ops.table); 0: a function of the program's
  };
  /// Null once a client has more of them than it may have (worker/objects/limits.hpp).
  Step* make(uint64_t callback, bool repeatable);
  void drop(Step* step);

  /// Driver callbacks.
  static void run_host_function(void* step);
  static void run_stream_callback(cuda::CUstream stream, cuda::CUresult status, void* step);

  /// From now on no step waits for the guest: the session ends.
  void stop();

 private:
  void run(Step* step, cuda::CUresult status);

  const shm::Window* window_;
  std::mutex steps_lock_;  // guards steps_
  std::mutex run_lock_;    // one step at a time; taken before steps_lock_
  std::list<Step> steps_;
  size_t kept_ = 0;  // of them, repeatable ones
  uint32_t posted_ = 0;
  std::atomic<bool> stopped_{false};
};

}  // namespace vgpu::worker
