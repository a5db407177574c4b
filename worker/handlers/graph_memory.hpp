// Memory that graphs allocate: which addresses are the client's, and how long.
#pragma once

#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// A node of the driver's graph allocates `size` bytes of `device` at `address` each time it runs.
void note_graph_memory(Session& session, CUgraph graph, uint64_t address, uint64_t size, unsigned device);
/// Addresses whose graphs are gone, executable forms included, are the client's only as long as something is allocated
/// there: what a graph left behind stays until it is freed.
void forget_graph_memory(Session& session);
/// The client freed it by a call. True if the address is not its any more: no graph can allocate there again.
bool is_last_use(Session& session, const Allocations::Range& range);

}  // namespace vgpu::worker::handlers
