// What every operation that makes something asks first.
#pragma once

#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// CUDA_SUCCESS if `handle` may be bound in `table`, CUDA_ERROR_OUT_OF_MEMORY if the client has as many as it may have.
/// A handle that no shim makes (of another kind, or in use) cuts the client off.
template <typename Table>
CUresult check_new(Session& session, const Table& table, uint64_t handle, const char* problem) {
  if (table.can_bind(handle)) return CUDA_SUCCESS;
  return table.is_beyond_limit(handle) ? CUDA_ERROR_OUT_OF_MEMORY : session.violation(problem);
}

}  // namespace vgpu::worker::handlers
