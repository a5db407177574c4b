// SPDX-License-Identifier: Apache-2.0
// Ordinary contexts and the stack of contexts of a thread.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CUcontext current() {
  CUcontext context = nullptr;
  expect_ok(CU(cuCtxGetCurrent, &context));
  return context;
}

CUcontext create(unsigned flags = 0) {
  CUcontext context = nullptr;
  expect_ok(CU(cuCtxCreate_v2, &context, flags, 0));
  require(context != nullptr, "the context has a handle");
  return context;
}

OWN_PROCESS_CASE(context, created_is_current_destroyed_is_not) {
  const CUcontext context = create();
  require(current() == context, "the new context is current");
  expect_ok(CU(cuCtxDestroy_v2, context));
  require(current() == nullptr, "no context is current after its end");
}

OWN_PROCESS_CASE(context, create_with_parameters) {
  CUctxCreateParams parameters = {};
  CUcontext context = nullptr;
  expect_ok(CU(cuCtxCreate_v4, &context, &parameters, 0, 0));
  require(current() == context, "the new context is current");
  expect_ok(CU(cuCtxDestroy_v2, context));
  expect_ok(CU(cuCtxCreate_v4, &context, nullptr, 0, 0));
  expect_ok(CU(cuCtxDestroy_v2, context));
}

CASE(context, create_errors) {
  CUcontext context = nullptr;
  expect(CU(cuCtxCreate_v2, nullptr, 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuCtxCreate_v2, &context, 0x10000, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuCtxCreate_v2, &context, 3, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuCtxCreate_v2, &context, 0, -1), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuCtxCreate_v2, &context, 0, 1000), CUDA_ERROR_INVALID_DEVICE);
  require(current() == nullptr, "a refused creation leaves nothing current");
}

OWN_PROCESS_CASE(context, contexts_have_their_own_memory) {
  const CUcontext first = create();
  const DeviceMemory memory(4096);
  memory.write_word(5);
  const CUcontext second = create();
  require(first != second, "two contexts have two handles");
  CUcontext owner = nullptr;
  expect_ok(CU(cuPointerGetAttribute, &owner, CU_POINTER_ATTRIBUTE_CONTEXT, memory.at()));
  require(owner == first, "memory belongs to the context that was current");
  expect_ok(CU(cuCtxDestroy_v2, second));
  require(current() == first, "the end of the current context pops it");
  expect_equal(memory.word(), 5U, "the word of the first context");
}

OWN_PROCESS_CASE(context, destroy_frees_its_memory) {
  const CUcontext context = create();
  CUdeviceptr address = 0;
  expect_ok(CU(cuMemAlloc_v2, &address, 4096));
  expect_ok(CU(cuCtxDestroy_v2, context));
  unsigned type = 0;
  expect(CU(cuPointerGetAttribute, &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, address), CUDA_ERROR_INVALID_VALUE);
}

CASE(context, destroy_nothing) { expect(CU(cuCtxDestroy_v2, nullptr), CUDA_ERROR_INVALID_VALUE); }

OWN_PROCESS_CASE(context, destroy_the_primary) {
  const Context context;
  expect(CU(cuCtxDestroy_v2, context.get()), CUDA_ERROR_INVALID_CONTEXT);
  const DeviceMemory memory(16);
}

OWN_PROCESS_CASE(context, destroyed_while_current_elsewhere) {
  const CUcontext context = create();
  expect_ok(CU(cuCtxSetCurrent, nullptr));
  on_other_thread([&] {
    expect_ok(CU(cuCtxSetCurrent, context));
    on_other_thread([&] { expect_ok(CU(cuCtxDestroy_v2, context)); });
    CUdeviceptr address = 0;
    expect(CU(cuMemAlloc_v2, &address, 64), CUDA_ERROR_CONTEXT_IS_DESTROYED);
  });
}

OWN_PROCESS_CASE(context, push_and_pop) {
  const CUcontext first = create();
  const CUcontext second = create();
  CUcontext popped = nullptr;
  expect_ok(CU(cuCtxPopCurrent_v2, &popped));
  require(popped == second && current() == first, "the creation pushed, the pop gives the one before");
  expect_ok(CU(cuCtxPushCurrent_v2, second));
  require(current() == second, "push makes current");
  expect_ok(CU(cuCtxPopCurrent_v2, nullptr));
  require(current() == first, "pop works without a place for the result");
  expect_ok(CU(cuCtxPopCurrent_v2, &popped));
  require(popped == first && current() == nullptr, "the stack is empty");
}

CASE(context, pop_of_an_empty_stack) {
  CUcontext popped = nullptr;
  expect(CU(cuCtxPopCurrent_v2, &popped), CUDA_ERROR_INVALID_CONTEXT);
}
CASE(context, push_nothing) { expect(CU(cuCtxPushCurrent_v2, nullptr), CUDA_ERROR_INVALID_VALUE); }

OWN_PROCESS_CASE(context, the_same_may_be_pushed_twice) {
  const CUcontext context = create();
  expect_ok(CU(cuCtxPushCurrent_v2, context));
  CUcontext popped = nullptr;
  expect_ok(CU(cuCtxPopCurrent_v2, &popped));
  require(popped == context && current() == context, "it lay there twice");
}

OWN_PROCESS_CASE(context, set_current_replaces_the_top) {
  const CUcontext first = create();
  const CUcontext second = create();
  expect_ok(CU(cuCtxSetCurrent, first));
  require(current() == first, "the top was replaced");
  CUcontext popped = nullptr;
  expect_ok(CU(cuCtxPopCurrent_v2, &popped));
  require(current() == first, "below lies what lay there before");
  expect_ok(CU(cuCtxDestroy_v2, second));
}

OWN_PROCESS_CASE(context, set_nothing_pops) {
  const CUcontext first = create();
  create();
  expect_ok(CU(cuCtxSetCurrent, nullptr));
  require(current() == first, "setting null removes the top of the stack");
  expect_ok(CU(cuCtxSetCurrent, nullptr));
  require(current() == nullptr, "and the last one");
  expect_ok(CU(cuCtxSetCurrent, nullptr));
}

CASE(context, current_belongs_to_the_thread) {
  const Context context;
  on_other_thread([&] {
    require(current() == nullptr, "a new thread has no context");
    expect_ok(CU(cuCtxSetCurrent, context.get()));
    const DeviceMemory memory(64);
    memory.write_word(9);
    expect_equal(memory.word(), 9U, "the word");
  });
  require(current() == context.get(), "what another thread sets stays there");
}

CASE(context, get_current_needs_a_place) { expect(CU(cuCtxGetCurrent, nullptr), CUDA_ERROR_INVALID_VALUE); }

CASE(context, device) {
  const Context context;
  CUdevice device = -1;
  expect_ok(CU(cuCtxGetDevice, &device));
  expect_equal(device, 0, "the device of the current context");
  expect(CU(cuCtxGetDevice, nullptr), CUDA_ERROR_INVALID_VALUE);
}

CASE(context, device_of_a_given_one) {
  const Context context;
  CUdevice device = -1;
  expect_ok(CU(cuCtxGetDevice_v2, &device, context.get()));
  expect_equal(device, 0, "the device of the context");
  on_other_thread([&] { expect_ok(CU(cuCtxGetDevice_v2, &device, context.get())); });
  device = -1;
  expect_ok(CU(cuCtxGetDevice_v2, &device, nullptr));
  expect_equal(device, 0, "null stands for the current one");
}

OWN_PROCESS_CASE(context, flags) {
  const CUcontext context = create(CU_CTX_SCHED_YIELD | CU_CTX_MAP_HOST);
  unsigned flags = 0;
  expect_ok(CU(cuCtxGetFlags, &flags));
  expect_equal(flags & CU_CTX_SCHED_MASK, 0U + CU_CTX_SCHED_YIELD, "scheduling flags");
  observe("flags " + std::to_string(flags));
  expect(CU(cuCtxGetFlags, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuCtxDestroy_v2, context));
}

OWN_PROCESS_CASE(context, set_flags) {
  create(0);
  expect_ok(CU(cuCtxSetFlags, CU_CTX_SCHED_BLOCKING_SYNC));
  unsigned flags = 0;
  expect_ok(CU(cuCtxGetFlags, &flags));
  expect_equal(flags & CU_CTX_SCHED_MASK, 0U + CU_CTX_SCHED_BLOCKING_SYNC, "scheduling flags");
  expect(CU(cuCtxSetFlags, 0x10000), CUDA_ERROR_INVALID_VALUE);
}

OWN_PROCESS_CASE(context, identifiers_differ) {
  unsigned long long first = 0, second = 0, again = 0;
  const CUcontext a = create();
  const CUcontext b = create();
  expect_ok(CU(cuCtxGetId, a, &first));
  expect_ok(CU(cuCtxGetId, b, &second));
  require(first != second, "two contexts have two identifiers");
  expect_ok(CU(cuCtxGetId, nullptr, &again));
  expect_equal(again, second, "null stands for the current one");
  expect(CU(cuCtxGetId, a, nullptr), CUDA_ERROR_INVALID_VALUE);
}

CASE(context, api_version) {
  const Context context;
  unsigned version = 0;
  expect_ok(CU(cuCtxGetApiVersion, context.get(), &version));
  require(version >= 3010, "the version of the interface is 3010 or later");
  observe("version " + std::to_string(version));
  expect(CU(cuCtxGetApiVersion, context.get(), nullptr), CUDA_ERROR_INVALID_VALUE);
}

CASE(context, synchronize_idle) {
  const Context context;
  expect_ok(CU(cuCtxSynchronize));
  expect_ok(CU(cuCtxSynchronize_v2, context.get()));
  expect_ok(CU(cuCtxSynchronize_v2, nullptr));
}

CASE(context, synchronize_waits_for_all_streams) {
  const Context context;
  const Module module;
  const Stream a, b;
  const DeviceMemory memory(2 * sizeof(uint32_t));
  memory.write_word(0, 0), memory.write_word(0, 1);
  for (int i = 0; i < 100; ++i) {
    launch(module.function("increment"), {}, {}, a, memory.at(0));
    launch(module.function("increment"), {}, {}, b, memory.at(4));
  }
  expect_ok(CU(cuCtxSynchronize));
  expect_ok(CU(cuStreamQuery, a));
  expect_ok(CU(cuStreamQuery, b));
  expect_equal(memory.word(0), 100U, "launches on one stream");
  expect_equal(memory.word(1), 100U, "launches on the other");
}

}  // namespace
}  // namespace conformance
