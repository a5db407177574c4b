// The client's contexts, and what is known of the work submitted to each.
#pragma once

#include <cstdint>
#include <vector>

#include "common/api/driver.gen.hpp"
#include "worker/objects/handle_table.hpp"
#include "worker/objects/limits.hpp"

namespace vgpu::worker {

using namespace vgpu::cuda;

/// One context. Work is counted: `submitted` rises with every command given to the driver, and a fence that completes
/// raises `completed` to the value that `submitted` had when the fence was recorded. Equal means idle.
struct ContextState {
  CUcontext real = nullptr;
  int device = 0;
  bool primary = false;
  CUgreenCtx green = nullptr;  ///< that it was made from, if any
  uint64_t submitted = 0;
  uint64_t completed = 0;
  uint64_t only_stream = 0;        ///< the one stream that has work not known to be complete; kSeveral if more than one
  unsigned open_captures = 0;      ///< while there are any, nothing context-wide may be done (decision 11)
  uint64_t captured = 0;           ///< nodes added to the open captures, those of graphs inside them included
  uint64_t captured_inside = 0;    ///< of them, nodes of graphs inside
  unsigned captured_depth = 0;     ///< of graphs inside graphs
  CUevent credit_event = nullptr;  ///< recorded at the last credit for the whole context
  std::vector<CUevent> free_events;  ///< without timing, for fences and marks

  static constexpr uint64_t kSeveral = ~uint64_t{0};
  bool idle() const { return submitted == completed; }
  /// A capture has ended, or went with its stream.
  void end_capture() {
    if (open_captures > 0) --open_captures;
    if (open_captures == 0) captured = captured_inside = captured_depth = 0;
  }
};

class Contexts {
 public:
  explicit Contexts(const DriverTable& driver) : driver_(driver) {}

  ContextState* find(uint64_t handle) { return table_.find(handle); }
  bool can_bind(uint64_t handle) const { return table_.can_bind(handle); }
  bool is_beyond_limit(uint64_t handle) const { return table_.is_beyond_limit(handle); }
  bool bind(uint64_t handle, ContextState state) { return table_.bind(handle, std::move(state)); }
  /// Forgets a context whose real one is gone; events of its pool went with it.
  void drop(uint64_t handle);
  /// Handle of a device's primary context, 0 if it is not retained.
  uint64_t primary(int device);
  /// Handle of the driver's context, 0 if the client has none such.
  uint64_t handle_of(CUcontext real);

  template <typename Visit>
  void for_each(Visit visit) {
    table_.for_each([&](uint64_t handle, const ContextState&) { visit(handle); });
  }

  /// Makes a context current in this thread unless it is. 0 is none, and an error.
  CUresult make_current(uint64_t handle);
  void forget_current() { current_ = 0; }
  uint64_t current() const { return current_; }

  /// An event of the context's pool, or the driver's reason for giving none. The context must be current.
  CUresult take_event(ContextState& context, CUevent& event);
  void give_event(ContextState& context, CUevent event) { context.free_events.push_back(event); }

  /// The device of a context; 0 if there is none by this handle.
  unsigned device_of(uint64_t handle) {
    const ContextState* found = find(handle);
    return found == nullptr ? 0 : static_cast<unsigned>(found->device);
  }

  /// From now on contexts may work in each other's memory (as peers, or because some are green): what waits for one
  /// waits for all.
  void note_sharing() { are_sharing_ = true; }
  bool are_sharing() const { return are_sharing_; }

 private:
  const DriverTable& driver_;
  HandleTable<ContextState> table_{wire::Kind::context, kMostContexts};
  uint64_t current_ = 0;
  bool are_sharing_ = false;
};

}  // namespace vgpu::worker
