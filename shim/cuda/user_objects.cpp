// cuUserObject* and the references that graphs hold to them: shim/client/user_objects.hpp.
#include "shim/client/user_objects.hpp"

#include "common/wire/handle.hpp"
#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

bool is_graph(CUgraph graph) { return wire::kind_of(reinterpret_cast<uint64_t>(graph)) == wire::Kind::graph; }

}  // namespace

CUresult cuUserObjectCreate(CUuserObject* object_out, void* ptr, CUhostFn destroy, unsigned initialRefcount,
                            unsigned flags) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  if (object_out == nullptr || flags != CU_USER_OBJECT_NO_DESTRUCTOR_SYNC) return CUDA_ERROR_INVALID_VALUE;
  return user_objects::create(*object_out, destroy, ptr, initialRefcount);
}

CUresult cuUserObjectRetain(CUuserObject object, unsigned count) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  return user_objects::retain(object, count);
}

CUresult cuUserObjectRelease(CUuserObject object, unsigned count) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  return user_objects::release(object, count);
}

CUresult cuGraphRetainUserObject(CUgraph graph, CUuserObject object, unsigned count, unsigned flags) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  if (!is_graph(graph) || (flags & ~unsigned{CU_GRAPH_USER_OBJECT_MOVE}) != 0) return CUDA_ERROR_INVALID_VALUE;
  return user_objects::retain_for_graph(reinterpret_cast<uint64_t>(graph), object, count, flags != 0);
}

CUresult cuGraphReleaseUserObject(CUgraph graph, CUuserObject object, unsigned count) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  if (!is_graph(graph)) return CUDA_ERROR_INVALID_VALUE;
  return user_objects::release_of_graph(reinterpret_cast<uint64_t>(graph), object, count);
}

}  // namespace vgpu::shim::calls
