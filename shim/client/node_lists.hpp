// Lists of graph nodes with their edges, packed as they travel.
#pragma once

#include <cstdint>
#include <cstring>
#include <vector>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

inline constexpr size_t kDependencyBytes = sizeof(uint64_t) + sizeof(CUgraphEdgeData);
inline constexpr size_t kLinkBytes = 2 * sizeof(uint64_t) + sizeof(CUgraphEdgeData);
inline constexpr size_t kMostDependencies = 16384 / kDependencyBytes;
inline constexpr size_t kMostLinks = 49152 / kLinkBytes;

inline void append(std::vector<uint8_t>& bytes, const void* from, size_t size) {
  const auto* begin = static_cast<const uint8_t*>(from);
  bytes.insert(bytes.end(), begin, begin + size);
}

/// (node, edge) repeated; without edges all are plain.
inline std::vector<uint8_t> pack_dependencies(const CUgraphNode* nodes, const CUgraphEdgeData* edges, size_t count) {
  constexpr CUgraphEdgeData kPlain{};
  std::vector<uint8_t> bytes;
  bytes.reserve(count * kDependencyBytes);
  for (size_t i = 0; i < count; ++i) {
    append(bytes, &nodes[i], sizeof(uint64_t));
    append(bytes, edges == nullptr ? &kPlain : &edges[i], sizeof kPlain);
  }
  return bytes;
}

/// (from, to, edge) repeated.
inline std::vector<uint8_t> pack_links(const CUgraphNode* from, const CUgraphNode* to, const CUgraphEdgeData* edges,
                                       size_t count) {
  constexpr CUgraphEdgeData kPlain{};
  std::vector<uint8_t> bytes;
  bytes.reserve(count * kLinkBytes);
  for (size_t i = 0; i < count; ++i) {
    append(bytes, &from[i], sizeof(uint64_t));
    append(bytes, &to[i], sizeof(uint64_t));
    append(bytes, edges == nullptr ? &kPlain : &edges[i], sizeof kPlain);
  }
  return bytes;
}

inline bool is_plain(const CUgraphEdgeData& edge) {
  constexpr CUgraphEdgeData kPlain{};
  return std::memcmp(&edge, &kPlain, sizeof edge) == 0;
}

}  // namespace vgpu::shim
