// What the handlers of all kinds of contexts share: how one begins for the worker, and how it ends.
#pragma once

#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// Takes a new context into the worker's books. It is current in no thread of ours; the driver makes a created one
/// current, which the books must know.
CUresult adopt(Session& session, uint64_t handle, ContextState state);

/// What goes with a context: handles and allocations that lived in it.
void forget(Session& session, uint64_t context);

}  // namespace vgpu::worker::handlers
