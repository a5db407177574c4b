// What describes a graph's node, as it travels (common/api/ops.table) and as the driver takes it.
#pragma once

#include <cstdint>
#include <vector>

#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// A description read from a record. Its address must not change while the driver reads it: it points into itself and
/// into the record.
class NodeSheet {
 public:
  NodeSheet() = default;
  NodeSheet(const NodeSheet&) = delete;
  NodeSheet& operator=(const NodeSheet&) = delete;
  /// A host function that no node came to hold is dropped.
  ~NodeSheet();

  /// CUDA_ERROR_INVALID_HANDLE and CUDA_ERROR_INVALID_VALUE for handles and memory that are not the client's,
  /// CUDA_ERROR_NOT_SUPPORTED for types that are not known. What no shim sends cuts the client off.
  CUresult read(Session& session, unsigned type, wire::Bytes bytes);
  CUgraphNodeParams& params() { return params_; }
  unsigned type() const { return params_.type; }
  /// The driver took it: the host function stays.
  void keep() { step_ = nullptr; }

  // What the node holds.
  const Graph* child() const { return child_; }
  /// The node takes the graph over, under this handle; 0: it holds a copy, or none.
  uint64_t moved() const { return moved_; }
  /// The guest's part of a copy that the GPU cannot do alone; null for others.
  HostSteps::Step* copy_step() const { return step_ != nullptr && step_->copy_role != 0 ? step_ : nullptr; }
  const std::vector<uint64_t>& body_handles() const { return bodies_; }

 private:
  CUresult read_kernel(Session& session, wire::Reader& in);
  CUresult read_copy(Session& session, wire::Reader& in);
  CUresult read_fill(Session& session, wire::Reader& in);
  CUresult read_host(Session& session, wire::Reader& in);
  CUresult read_child(Session& session, wire::Reader& in);
  CUresult read_copy_step(Session& session, wire::Reader& in);
  CUresult read_allocation(Session& session, wire::Reader& in);
  CUresult read_free(Session& session, wire::Reader& in);
  CUresult read_batch(Session& session, wire::Reader& in);
  CUresult read_event(Session& session, wire::Reader& in, CUevent& event);
  CUresult read_conditional(Session& session, wire::Reader& in);

  CUgraphNodeParams params_{};
  CUresult point_at_parameters(Session& session, const std::vector<uint32_t>& places, wire::Bytes block);

  size_t block_size_ = 0;
  void* extra_[5] = {};
  std::vector<uint8_t> block_;  // zeros behind the parameters
  std::vector<void*> parameters_;
  const Graph* child_ = nullptr;
  uint64_t moved_ = 0;
  std::vector<CUmemAccessDesc> access_;
  std::vector<CUstreamBatchMemOpParams> operations_;
  std::vector<uint64_t> bodies_;
  HostSteps* steps_ = nullptr;
  HostSteps::Step* step_ = nullptr;
};

/// The other way round: what the driver says of a node. CUDA_ERROR_NOT_SUPPORTED for types whose description holds
/// what the client cannot know, or does not fit. `type`: the driver's; what the client takes the node for afterwards.
CUresult write_sheet(Session& session, CUgraphNode node, unsigned& type, wire::Writer& out);

}  // namespace vgpu::worker::handlers
