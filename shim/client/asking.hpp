// Operations whose answer somebody else has to give to the worker first.
#pragma once

#include "shim/client/request.hpp"
#include "shim/client/waiting.hpp"

namespace vgpu::shim {

/// The reply of operations that answer only whether they worked.
struct Nothing {
  static bool decode(wire::Reader&) { return true; }
};

/// Sends `op` until the worker has an answer, which `take(reply)` gets; for at most `longest_ns`, then
/// CUDA_ERROR_NOT_READY.
template <typename Reply, typename Op, typename Take>
CUresult ask_until_answered(const Op& op, uint64_t longest_ns, Take take) {
  const uint64_t end = monotonic_ns() + longest_ns;
  for (Backoff backoff;; backoff.pause()) {
    Request request(Op::kOp, Op::kNeedsContext);
    Reply reply;
    const CUresult result = call(request, op, reply);
    if (result == CUDA_SUCCESS) take(reply);
    if (result != CUDA_ERROR_NOT_READY || monotonic_ns() >= end) return result;
  }
}

}  // namespace vgpu::shim
