// SPDX-License-Identifier: Apache-2.0
// Primary contexts. Their state belongs to the process, so every case has one of its own.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

struct State {
  unsigned flags = 99;
  int active = 99;
};

State state() {
  State now;
  expect_ok(CU(cuDevicePrimaryCtxGetState, 0, &now.flags, &now.active));
  return now;
}

CUcontext retain() {
  CUcontext context = nullptr;
  expect_ok(CU(cuDevicePrimaryCtxRetain, &context, 0));
  require(context != nullptr, "the primary context has a handle");
  return context;
}

OWN_PROCESS_CASE(primary, inactive_at_first) {
  expect_equal(state().active, 0, "active");
  expect_equal(state().flags, 0U, "flags");
}

OWN_PROCESS_CASE(primary, retain_activates_release_ends) {
  retain();
  expect_equal(state().active, 1, "active after retain");
  expect_ok(CU(cuDevicePrimaryCtxRelease_v2, 0));
  expect_equal(state().active, 0, "active after release");
}

OWN_PROCESS_CASE(primary, retain_makes_nothing_current) {
  retain();
  CUcontext current = reinterpret_cast<CUcontext>(1);
  expect_ok(CU(cuCtxGetCurrent, &current));
  require(current == nullptr, "retain leaves the thread without a context");
}

OWN_PROCESS_CASE(primary, is_counted) {
  const CUcontext first = retain();
  require(retain() == first, "the second retain gives the same handle");
  expect_ok(CU(cuDevicePrimaryCtxRelease_v2, 0));
  expect_equal(state().active, 1, "active after one of two releases");
  expect_ok(CU(cuDevicePrimaryCtxRelease_v2, 0));
  expect_equal(state().active, 0, "active after both");
}

OWN_PROCESS_CASE(primary, release_without_retain) {
  expect(CU(cuDevicePrimaryCtxRelease_v2, 0), CUDA_ERROR_INVALID_CONTEXT);
  retain();
  expect_ok(CU(cuDevicePrimaryCtxRelease_v2, 0));
  expect(CU(cuDevicePrimaryCtxRelease_v2, 0), CUDA_ERROR_INVALID_CONTEXT);
}

OWN_PROCESS_CASE(primary, flags_before_activation) {
  expect_ok(CU(cuDevicePrimaryCtxSetFlags_v2, 0, CU_CTX_SCHED_BLOCKING_SYNC));
  expect_equal(state().flags & CU_CTX_SCHED_MASK, 0U + CU_CTX_SCHED_BLOCKING_SYNC, "scheduling flags");
  expect_equal(state().active, 0, "active after setting flags");
  const Context context;
  unsigned flags = 0;
  expect_ok(CU(cuCtxGetFlags, &flags));
  expect_equal(flags & CU_CTX_SCHED_MASK, 0U + CU_CTX_SCHED_BLOCKING_SYNC, "scheduling flags of the context");
}

OWN_PROCESS_CASE(primary, flags_while_active) {
  const Context context;
  expect_ok(CU(cuDevicePrimaryCtxSetFlags_v2, 0, CU_CTX_SCHED_YIELD));
  expect_equal(state().flags & CU_CTX_SCHED_MASK, 0U + CU_CTX_SCHED_YIELD, "scheduling flags");
}

OWN_PROCESS_CASE(primary, invalid_flags) {
  expect(CU(cuDevicePrimaryCtxSetFlags_v2, 0, 0x10000), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDevicePrimaryCtxSetFlags_v2, 0, 3), CUDA_ERROR_INVALID_VALUE);
  expect_equal(state().flags, 0U, "flags after refused calls");
}

OWN_PROCESS_CASE(primary, unknown_device) {
  CUcontext context = nullptr;
  unsigned flags = 0;
  int active = 0;
  expect(CU(cuDevicePrimaryCtxRetain, &context, -1), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDevicePrimaryCtxRetain, &context, 1000), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDevicePrimaryCtxRelease_v2, 1000), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDevicePrimaryCtxGetState, 1000, &flags, &active), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDevicePrimaryCtxSetFlags_v2, 1000, 0), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDevicePrimaryCtxReset_v2, 1000), CUDA_ERROR_INVALID_DEVICE);
}

OWN_PROCESS_CASE(primary, needs_places) {
  expect(CU(cuDevicePrimaryCtxRetain, nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  unsigned flags = 0;
  int active = 0;
  expect(CU(cuDevicePrimaryCtxGetState, 0, nullptr, &active), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDevicePrimaryCtxGetState, 0, &flags, nullptr), CUDA_ERROR_INVALID_VALUE);
}

OWN_PROCESS_CASE(primary, reset_ends_it) {
  const CUcontext context = retain();
  expect_ok(CU(cuCtxSetCurrent, context));
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAlloc_v2, &address, 4096));
  expect_ok(CU(cuDevicePrimaryCtxReset_v2, 0));
  expect_equal(state().active, 0, "active after reset");
  unsigned type = 0;
  expect(CU(cuPointerGetAttribute, &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address), CUDA_ERROR_INVALID_VALUE);
}

OWN_PROCESS_CASE(primary, works_again_after_reset) {
  {
    const Context context;
    const DeviceMemory memory(64);
    memory.write_word(1);
  }
  expect_ok(CU(cuDevicePrimaryCtxReset_v2, 0));
  const Context context;
  const DeviceMemory memory(64);
  memory.write_word(42);
  expect_equal(memory.word(), 42U, "the word");
}

OWN_PROCESS_CASE(primary, reset_of_an_inactive_one) {
  expect_ok(CU(cuDevicePrimaryCtxReset_v2, 0));
  expect_equal(state().active, 0, "active");
}

OWN_PROCESS_CASE(primary, current_after_release) {
  const CUcontext context = retain();
  expect_ok(CU(cuCtxSetCurrent, context));
  expect_ok(CU(cuDevicePrimaryCtxRelease_v2, 0));
  CUdeviceptr address = 0;
  expect(CU(cuMemAlloc_v2, &address, 64), CUDA_ERROR_CONTEXT_IS_DESTROYED);
}

}  // namespace
}  // namespace conformance
