// User objects: things of the program that graphs hold references to, and whose destructor runs when the last one is
// given back. All of it is bookkeeping of the guest; the worker never hears of them.
//
// A graph's references are copied with it: by a clone, by instantiation, and into a graph that takes it in as a child.
// An executable graph gives its own back when it is destroyed or updated, but not before its launches have run.
// Destructors run on a thread of ours; as in host functions, CUDA cannot be called there.
#pragma once

#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim::user_objects {

using namespace vgpu::cuda;

CUresult create(CUuserObject& object, CUhostFn destroy, void* user, unsigned references);
CUresult retain(CUuserObject object, unsigned count);
CUresult release(CUuserObject object, unsigned count);

/// `move`: the references are the caller's and become the graph's.
CUresult retain_for_graph(uint64_t graph, CUuserObject object, unsigned count, bool move);
/// What the graph does not hold is left alone, without an error: so the driver has it.
CUresult release_of_graph(uint64_t graph, CUuserObject object, unsigned count);

// What becomes of graphs (handles). All of these cost one relaxed load while no graph holds a reference.
/// A clone, or a graph whose node now holds a copy of `from`.
void graph_copied(uint64_t from, uint64_t to);
/// A graph that lies inside another: what it holds is given back with the outer one.
void graph_inside(uint64_t outer, uint64_t inner);
void graph_gone(uint64_t graph);
void instantiated(uint64_t graph, uint64_t exec);
/// What the executable graph held goes, what the graph holds comes.
void updated(uint64_t exec, uint64_t graph);
/// A child of the executable graph was replaced: what the new one holds comes.
void child_updated(uint64_t exec, uint64_t child);
/// Called behind a successful launch, on the thread that made it.
void launched(uint64_t exec, CUstream stream);
void exec_gone(uint64_t exec);

}  // namespace vgpu::shim::user_objects
