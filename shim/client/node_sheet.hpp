// A graph's node as the program describes it, packed as it travels (common/api/ops.table).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "common/wire/reader.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

class NodeSheet {
 public:
  /// The most that a record takes.
  static constexpr size_t kMost = 40960;

  // Each answers what the driver would: CUDA_ERROR_INVALID_VALUE for what makes no sense; CUDA_ERROR_NOT_SUPPORTED for
  // arrays.
  CUresult describe(const CUDA_KERNEL_NODE_PARAMS_v2& kernel);
  CUresult describe(const CUDA_MEMCPY3D& copy) { return describe(copy, false); }
  /// `staged`: its host memory goes through the guest even if the GPU could reach it.
  CUresult describe(const CUDA_MEMCPY3D& copy, bool staged);
  CUresult describe(const CUDA_MEMSET_NODE_PARAMS_v1& fill);
  CUresult describe(const CUDA_HOST_NODE_PARAMS_v1& host);
  CUresult describe(const CUDA_MEM_ALLOC_NODE_PARAMS& allocation);
  CUresult describe_free(CUdeviceptr address);
  CUresult describe(const CUDA_BATCH_MEM_OP_NODE_PARAMS& batch);
  CUresult describe_graph(CUgraph graph,
                          CUgraphChildGraphNodeOwnership ownership = CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE);
  CUresult describe_event(CUevent event);
  /// `bodies`: fresh handles for its graphs.
  CUresult describe(const CUDA_CONDITIONAL_NODE_PARAMS& conditional, std::span<const uint64_t> bodies);

  unsigned type() const { return type_; }
  std::span<const uint8_t> bytes() const { return bytes_; }
  /// What was noted for a host node or a copy of the guest's is not needed after all.
  void discard();

 private:
  template <typename T>
  void put(T value) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
  }

  unsigned type_ = CU_GRAPH_NODE_TYPE_EMPTY;
  std::vector<uint8_t> bytes_;
  uint64_t host_step_ = 0;
};

// The other way round. False if the bytes are not such a description.
struct KernelSheet {
  CUDA_KERNEL_NODE_PARAMS_v2 params;
  std::vector<uint8_t> block;  ///< of the parameters, packed
};
bool read_sheet(wire::Bytes bytes, KernelSheet& kernel);
bool read_sheet(wire::Bytes bytes, CUDA_MEMCPY3D& copy);
bool read_sheet(wire::Bytes bytes, CUDA_MEMSET_NODE_PARAMS_v1& fill);
bool read_sheet(wire::Bytes bytes, CUDA_HOST_NODE_PARAMS_v1& host);
bool read_sheet(wire::Bytes bytes, CUevent& event);
struct AllocationSheet {
  CUDA_MEM_ALLOC_NODE_PARAMS params;  ///< without `accessDescs`
  std::vector<CUmemAccessDesc> access;
};
bool read_sheet(wire::Bytes bytes, AllocationSheet& allocation);
struct BatchSheet {
  CUcontext context = nullptr;
  unsigned flags = 0;
  std::vector<CUstreamBatchMemOpParams> operations;
};
bool read_sheet(wire::Bytes bytes, BatchSheet& batch);
/// The address that a node frees.
bool read_sheet(wire::Bytes bytes, CUdeviceptr& address);

}  // namespace vgpu::shim
