// Lists of graph nodes as they travel: dependencies with their edges, and links.
#pragma once

#include <vector>

#include "worker/handlers/attribute_kinds.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// Nodes that another one depends on.
class NodeList {
 public:
  static constexpr size_t kEntry = sizeof(uint64_t) + sizeof(CUgraphEdgeData);

  /// CUDA_ERROR_INVALID_HANDLE if one is not the client's.
  CUresult read(Session& session, wire::Bytes bytes) {
    if (bytes.size() % kEntry != 0) return session.violation("a part of a graph node's handle");
    wire::Reader in(bytes);
    while (in.left() != 0) {
      CUgraphNode node = nullptr;
      if (!session.objects().find(in.take<uint64_t>(), node)) return CUDA_ERROR_INVALID_HANDLE;
      nodes_.push_back(node);
      in.raw(&edges_.emplace_back(), sizeof(CUgraphEdgeData));
      is_plain_ = is_plain_ && edges_.back().from_port == 0 && edges_.back().to_port == 0 && edges_.back().type == 0;
    }
    return CUDA_SUCCESS;
  }
  size_t size() const { return nodes_.size(); }
  CUgraphNode* nodes() { return nodes_.empty() ? nullptr : nodes_.data(); }
  /// Null if no edge says more than "after".
  const CUgraphEdgeData* edges() const { return is_plain_ ? nullptr : edges_.data(); }

 private:
  std::vector<CUgraphNode> nodes_;
  std::vector<CUgraphEdgeData> edges_;
  bool is_plain_ = true;
};

/// Attributes whose values are known to hold no handle of the driver's.
inline bool is_plain_attribute(unsigned attribute) {
  return attribute <= kLastAttribute && !hands_out_handle(attribute) && !takes_event(attribute);
}

/// What is said to the others.
inline CUresult refusal_of(unsigned attribute) {
  return hands_out_handle(attribute) ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace vgpu::worker::handlers
