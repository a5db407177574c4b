// Who may use memory, as it travels: repeated (u32 kind of place, i32 which, u32 flags).
#pragma once

#include <cstring>
#include <vector>

#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// Only devices can be given access: CUDA_ERROR_INVALID_VALUE. A piece of an entry cuts the client off.
inline CUresult read_access(Session& session, wire::Bytes bytes, std::vector<CUmemAccessDesc>& out) {
  constexpr size_t kEach = 3 * sizeof(uint32_t);
  static_assert(sizeof(CUmemAccessDesc) == kEach);
  if (bytes.size() % kEach != 0) return session.violation("access that is no list");
  out.resize(bytes.size() / kEach);
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  for (const CUmemAccessDesc& one : out)
    if (one.location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::worker::handlers
