// One call to the worker: what generated and hand-written calls are made of.
#pragma once

#include <cstdint>
#include <span>

#include "common/abi/window_layout.h"
#include "common/api/cuda_types.hpp"
#include "common/api/ops.gen.hpp"
#include "common/wire/reader.hpp"
#include "common/wire/writer.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

struct Context;

/// A record in preparation. It lives on the stack of one call; nothing is sent before call() or post().
///
/// If the call must be refused at once (not initialised, a sticky error, no current context, a fork child) every put is
/// harmless and call() and post() answer the refusal.
class Request {
 public:
  Request(api::Op op, bool needs_context);
  ~Request();
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  CUresult refusal() const { return refusal_; }
  /// Speaks for this context instead of the thread's current one.
  void use_context(const Context& context);
  wire::Writer& body() { return writer_; }

  /// Handles of the program. A stream of 0, CU_STREAM_LEGACY or CU_STREAM_PER_THREAD becomes what it stands for in this
  /// thread and context.
  void put(CUstream stream);
  template <typename T>
  void put(T* handle) {
    writer_.put(reinterpret_cast<uint64_t>(handle));
  }

  /// A fresh handle for an object that this call creates; discard it if the call fails (it stays taken if the call took
  /// effect all the same), or when the object is gone.
  uint64_t make_handle(wire::Kind kind);
  void discard_handle(uint64_t handle);

  /// Sends the record and waits for the answer; after success reply() reads it. A deferred error of an earlier posted
  /// record of this thread is returned if the call itself succeeded.
  CUresult call(std::span<const uint8_t> tail = {});
  /// Sends the record and returns; failures surface on a later call of this thread that waits. While a stream of this
  /// process is being captured, and with VGPU_STRICT=1, it waits for the answer as call() does.
  CUresult post(std::span<const uint8_t> tail = {});
  wire::Reader& reply() { return reader_; }
  /// Whether the worker did what was asked. It may have, although call() failed: the failure may be an earlier,
  /// deferred one. Handles of objects that were made must not come back while the worker holds them.
  bool took_effect() const { return took_effect_; }

 private:
  static constexpr size_t kInline = 1024;  // bodies larger than this pass their bulk as `tail`
  api::Op op_;
  CUresult refusal_ = CUDA_SUCCESS;
  bool took_effect_ = false;
  uint64_t context_ = 0;
  uint64_t stream_ = 0;  // the last one put, as it travels
  uint8_t body_[kInline];
  wire::Writer writer_;
  uint8_t answer_[VGPU_SLOT_DATA];
  wire::Reader reader_;
};

/// Waits for the worker to have read everything this thread posted, and answers what failed of it.
CUresult surface_deferred();

/// Why no call of this operation can be made now; success if it can.
template <typename Op>
CUresult refusal() {
  return Request(Op::kOp, Op::kNeedsContext).refusal();
}

/// Sends an operation of ops.table and waits.
template <typename Op>
CUresult call(const Op& op) {
  static_assert(!Op::kPosted);
  Request request(Op::kOp, Op::kNeedsContext);
  op.encode(request.body());
  return request.call();
}

/// Sends an operation of ops.table and decodes its reply. Views in `reply` are valid as long as `request` lives, so the
/// caller passes it.
template <typename Op, typename Reply>
CUresult call(Request& request, const Op& op, Reply& reply) {
  op.encode(request.body());
  const CUresult result = request.call();
  if (result != CUDA_SUCCESS) return result;
  return reply.decode(request.reply()) ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

/// Posts an operation of ops.table (waits for the worker instead when VGPU_STRICT=1 asks for that).
template <typename Op>
CUresult post(const Op& op) {
  static_assert(Op::kPosted);
  Request request(Op::kOp, Op::kNeedsContext);
  op.encode(request.body());
  return request.post();
}

}  // namespace vgpu::shim
