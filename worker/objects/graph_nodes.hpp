// Names of graph nodes. Nodes come into being in the driver, so the worker numbers them when the guest first sees one;
// the driver's own addresses stay here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "common/api/cuda_types.hpp"
#include "common/wire/handle.hpp"

namespace vgpu::worker {

class GraphNodes {
 public:
  /// The node's handle: always the same, until the driver gives its address to another node.
  uint64_t number_of(cuda::CUgraphNode node) {
    // What is known of old nodes is given up before it takes memory without bound.
    if (numbers_.size() >= kMost) numbers_.clear();
    const auto [entry, added] = numbers_.try_emplace(node, 0);
    if (added) entry->second = next();
    return entry->second;
  }

 private:
  static constexpr size_t kMost = size_t{1} << 20;

  uint64_t next() {
    ++made_;
    return wire::make_handle(wire::Kind::node, static_cast<uint32_t>(made_ >> 20), static_cast<uint32_t>(made_));
  }

  std::unordered_map<cuda::CUgraphNode, uint64_t> numbers_;
  uint64_t made_ = 0;
};

}  // namespace vgpu::worker
