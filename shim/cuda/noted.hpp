// Forwarded calls whose success the guest takes note of (noted=yes in the table).
#pragma once

#include "shim/client/current_pools.hpp"
#include "shim/client/node_requests.hpp"
#include "shim/client/textures.hpp"

namespace vgpu::shim::noted {

inline void cuDeviceSetMemPool(CUdevice device, CUmemoryPool pool) { choose_pool(device, pool); }
inline void cuMemPoolDestroy(CUmemoryPool pool) { forget_pool(pool); }
inline void cuTexRefSetArray(CUtexref reference, CUarray array, unsigned) {
  textures::bind_reference(reinterpret_cast<uint64_t>(reference), {array, nullptr});
}
inline void cuTexRefSetMipmappedArray(CUtexref reference, CUmipmappedArray array, unsigned) {
  textures::bind_reference(reinterpret_cast<uint64_t>(reference), {nullptr, array});
}
/// Copies that the guest takes part in are graphs to the driver; the worker knows them apart.
inline void cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType* type) {
  if (*type != CU_GRAPH_NODE_TYPE_GRAPH) return;
  Request request(api::ops::GraphNodeSheet::kOp, api::ops::GraphNodeSheet::kNeedsContext);
  api::ops::GraphNodeSheetReply reply;
  if (ask_sheet(node, request, reply) == CUDA_SUCCESS) *type = reply.type;
}

}  // namespace vgpu::shim::noted
