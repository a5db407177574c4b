// An event: the marks that its last record stands for, or the capture that it was recorded in.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "worker/sim/device/graph.hpp"
#include "worker/sim/device/shared_event.hpp"
#include "worker/sim/device/stream.hpp"

namespace vgpu::sim::device {

struct Event {
  /// From now on the event stands for these marks, and for no capture.
  void set_marks(std::vector<MarkPtr> to) {
    const std::lock_guard lock(mutex);
    recorded = true;
    marks = std::move(to);
    capture.reset();
    capture_ends.clear();
  }
  /// What to wait for; nothing if the event was never recorded.
  std::vector<MarkPtr> current_marks() {
    const std::lock_guard lock(mutex);
    return marks;
  }

  std::uint64_t handle = 0;
  std::shared_ptr<Context> context;
  unsigned flags = 0;
  std::shared_ptr<SharedEvent> shared;  ///< if other processes may see it: the marks below mean nothing then
  std::mutex mutex;
  // Guarded by mutex.
  bool recorded = false;
  std::vector<MarkPtr> marks;
  std::shared_ptr<Capture> capture;  ///< if the last record was captured
  std::vector<std::shared_ptr<GraphNode>> capture_ends;
};

}  // namespace vgpu::sim::device
