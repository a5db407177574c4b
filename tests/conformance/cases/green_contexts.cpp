// SPDX-License-Identifier: Apache-2.0
// Parts of a device, and green contexts made of them.
#include <utility>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CUdevResource whole_device() {
  CUdevResource resource = {};
  expect_ok(CU(cuDeviceGetDevResource, 0, &resource, CU_DEV_RESOURCE_TYPE_SM));
  return resource;
}

/// The device cut into parts of `least` multiprocessors at least.
std::vector<CUdevResource> split(const CUdevResource& resource, unsigned groups, unsigned least,
                                 CUdevResource* remaining = nullptr) {
  std::vector<CUdevResource> parts(groups);
  unsigned made = groups;
  expect_ok(CU(cuDevSmResourceSplitByCount, parts.data(), &made, &resource, remaining, 0, least));
  require(made >= 1 && made <= groups, "there is a part, and no more than were asked for");
  parts.resize(made);
  return parts;
}

CUdevResourceDesc describe(std::vector<CUdevResource> resources) {
  CUdevResourceDesc description = nullptr;
  expect_ok(CU(cuDevResourceGenerateDesc, &description, resources.data(), static_cast<unsigned>(resources.size())));
  return description;
}

class Green {
 public:
  explicit Green(CUdevResourceDesc description) {
    expect_ok(CU(cuGreenCtxCreate, &green_, description, 0, CU_GREEN_CTX_DEFAULT_STREAM));
    expect_ok(CU(cuCtxFromGreenCtx, &context_, green_));
  }
  Green(const Green&) = delete;
  Green& operator=(const Green&) = delete;
  ~Green() {
    if (green_ != nullptr) driver().cuGreenCtxDestroy(green_);
  }
  CUgreenCtx get() const { return green_; }
  CUcontext context() const { return context_; }
  void destroy() { expect_ok(CU(cuGreenCtxDestroy, std::exchange(green_, nullptr))); }

 private:
  CUgreenCtx green_ = nullptr;
  CUcontext context_ = nullptr;
};

CASE(green, resource_of_the_device) {
  const CUdevResource resource = whole_device();
  expect_equal(resource.type, 0U + CU_DEV_RESOURCE_TYPE_SM, "the type of the resource");
  expect_equal(resource.sm.smCount, static_cast<unsigned>(device_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)),
               "the count of multiprocessors");
}
CASE(green, resource_errors) {
  CUdevResource resource = {};
  expect(CU(cuDeviceGetDevResource, 0, nullptr, CU_DEV_RESOURCE_TYPE_SM), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetDevResource, 1000, &resource, CU_DEV_RESOURCE_TYPE_SM), CUDA_ERROR_INVALID_DEVICE);
  expect_one_of(CU(cuDeviceGetDevResource, 0, &resource, CU_DEV_RESOURCE_TYPE_INVALID),
                {CUDA_ERROR_INVALID_RESOURCE_TYPE, CUDA_ERROR_INVALID_VALUE});
}
CASE(green, resource_of_a_context) {
  const Context context;
  CUdevResource resource = {};
  expect_ok(CU(cuCtxGetDevResource, context.get(), &resource, CU_DEV_RESOURCE_TYPE_SM));
  expect_equal(resource.sm.smCount, whole_device().sm.smCount, "the multiprocessors of the primary context");
}

CASE(green, how_many_parts) {
  const CUdevResource resource = whole_device();
  unsigned groups = 0;
  expect_ok(CU(cuDevSmResourceSplitByCount, nullptr, &groups, &resource, nullptr, 0, 16));
  require(groups >= 1 && groups <= resource.sm.smCount / 16, "as many parts as there is room for");
  observe("parts " + std::to_string(groups));
}
CASE(green, parts_add_up) {
  const CUdevResource resource = whole_device();
  CUdevResource rest = {};
  const auto parts = split(resource, 2, 16, &rest);
  expect_equal(parts.size(), size_t{2}, "the number of parts");
  unsigned sum = rest.type == CU_DEV_RESOURCE_TYPE_SM ? rest.sm.smCount : 0;
  for (const CUdevResource& part : parts) {
    require(part.sm.smCount >= 16, "a part has at least what was asked for");
    expect_equal(part.sm.smCount, parts[0].sm.smCount, "the size of each part");
    sum += part.sm.smCount;
  }
  expect_equal(sum, resource.sm.smCount, "the multiprocessors of all parts and of what remains");
}
CASE(green, split_errors) {
  const CUdevResource resource = whole_device(), nothing = {};
  CUdevResource part = {};
  unsigned groups = 1;
  expect(CU(cuDevSmResourceSplitByCount, &part, nullptr, &resource, nullptr, 0, 8), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDevSmResourceSplitByCount, &part, &groups, nullptr, nullptr, 0, 8), CUDA_ERROR_INVALID_VALUE);
  expect_one_of(CU(cuDevSmResourceSplitByCount, &part, &groups, &nothing, nullptr, 0, 8),
                {CUDA_ERROR_INVALID_RESOURCE_TYPE, CUDA_ERROR_INVALID_VALUE});
  expect_one_of(CU(cuDevSmResourceSplitByCount, &part, &groups, &resource, nullptr, 0, 100000),
                {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION});
}
CASE(green, description_errors) {
  CUdevResource resource = whole_device();
  CUdevResource two[2] = {resource, resource};
  CUdevResourceDesc description = nullptr;
  expect(CU(cuDevResourceGenerateDesc, nullptr, &resource, 1), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDevResourceGenerateDesc, &description, nullptr, 1), CUDA_ERROR_INVALID_VALUE);
  // The driver takes the same part twice; only a context of it could show what comes of that.
  expect_one_of(CU(cuDevResourceGenerateDesc, &description, two, 2),
                {CUDA_SUCCESS, CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION});
  CUgreenCtx green = nullptr;
  description = describe({resource});
  expect(CU(cuGreenCtxCreate, &green, description, 0, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGreenCtxCreate, &green, description, 1000, CU_GREEN_CTX_DEFAULT_STREAM), CUDA_ERROR_INVALID_DEVICE);
}

OWN_PROCESS_CASE(green, has_its_part) {
  const Context context;
  const auto parts = split(whole_device(), 1, 16);
  const Green green(describe({parts[0]}));
  CUdevResource resource = {};
  expect_ok(CU(cuGreenCtxGetDevResource, green.get(), &resource, CU_DEV_RESOURCE_TYPE_SM));
  expect_equal(resource.sm.smCount, parts[0].sm.smCount, "the multiprocessors of the green context");
  expect_ok(CU(cuCtxGetDevResource, green.context(), &resource, CU_DEV_RESOURCE_TYPE_SM));
  expect_equal(resource.sm.smCount, parts[0].sm.smCount, "the multiprocessors of its context");
  unsigned long long id = 0;
  expect_ok(CU(cuGreenCtxGetId, green.get(), &id));
  require(id != 0, "it has a number");
}

OWN_PROCESS_CASE(green, kernel_in_its_stream) {
  const Context context;
  const DeviceMemory memory(4);
  const Green green(describe(split(whole_device(), 1, 8)));
  CUstream stream = nullptr;
  expect_ok(CU(cuGreenCtxStreamCreate, &stream, green.get(), CU_STREAM_NON_BLOCKING, 0));
  expect_ok(CU(cuCtxSetCurrent, green.context()));
  {
    const Library library;
    launch(reinterpret_cast<CUfunction>(library.kernel("store")), {}, {}, stream, memory.at(), 6U);
    expect_ok(CU(cuStreamSynchronize, stream));
    launch(reinterpret_cast<CUfunction>(library.kernel("increment")), {}, {}, nullptr, memory.at());
    expect_ok(CU(cuCtxSynchronize));
  }
  expect_equal(memory.word(), 7U, "the word");
  expect_ok(CU(cuStreamDestroy_v2, stream));
  expect_ok(CU(cuCtxSetCurrent, context.get()));
}

OWN_PROCESS_CASE(green, memory_is_the_primary_contexts) {
  const Context context;
  Green green(describe(split(whole_device(), 1, 8)));
  expect_ok(CU(cuCtxSetCurrent, green.context()));
  const DeviceMemory memory(4);
  memory.write_word(5);
  expect_ok(CU(cuCtxSetCurrent, context.get()));
  green.destroy();
  expect_equal(memory.word(), 5U, "the word after the end of the green context");
}

OWN_PROCESS_CASE(green, streams_say_whose_they_are) {
  const Context context;
  const Green green(describe(split(whole_device(), 1, 8)));
  CUstream stream = nullptr;
  expect_ok(CU(cuGreenCtxStreamCreate, &stream, green.get(), CU_STREAM_NON_BLOCKING, 0));
  const Stream plain;
  CUgreenCtx owner = nullptr;
  CUcontext plain_owner = nullptr;
  expect_ok(CU(cuStreamGetGreenCtx, stream, &owner));
  require(owner == green.get(), "the green context of its stream");
  expect_ok(CU(cuStreamGetGreenCtx, plain, &owner));
  require(owner == nullptr, "another stream has none");
  expect_ok(CU(cuStreamGetCtx_v2, stream, &plain_owner, &owner));
  require(owner == green.get(), "a green stream's green context");
  require(plain_owner == context.get() || plain_owner == green.context(),
          "a green stream's context is the primary one or the green one's");
  observe(plain_owner == context.get() ? "the primary context" : "the green context's");
  expect_ok(CU(cuStreamGetCtx_v2, plain, &plain_owner, &owner));
  require(plain_owner == context.get() && owner == nullptr, "another stream's contexts");
  expect_ok(CU(cuStreamDestroy_v2, stream));
}

OWN_PROCESS_CASE(green, stream_errors) {
  const Context context;
  const Green green(describe(split(whole_device(), 1, 8)));
  CUstream stream = nullptr;
  expect(CU(cuGreenCtxStreamCreate, &stream, green.get(), CU_STREAM_DEFAULT, 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGreenCtxStreamCreate, nullptr, green.get(), CU_STREAM_NON_BLOCKING, 0), CUDA_ERROR_INVALID_VALUE);
}

OWN_PROCESS_CASE(green, events_of_the_whole_context) {
  const Context context;
  const Module module;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Green green(describe(split(whole_device(), 1, 8)));
  CUstream stream = nullptr;
  expect_ok(CU(cuGreenCtxStreamCreate, &stream, green.get(), CU_STREAM_NON_BLOCKING, 0));
  expect_ok(CU(cuCtxSetCurrent, green.context()));
  const Event event;
  expect_ok(CU(cuMemsetD32Async, memory.at(), 9, 1, stream));
  expect_ok(CU(cuGreenCtxRecordEvent, green.get(), event));
  expect_ok(CU(cuCtxSetCurrent, context.get()));
  const Stream follower;
  const PinnedMemory word(4);
  expect_ok(CU(cuStreamWaitEvent, follower, event, 0));
  expect_ok(CU(cuMemcpyDtoHAsync_v2, word.get(), memory.at(), 4, follower));
  follower.synchronize();
  expect_equal(word.word(), 9U, "the word that the green context wrote before its event");
  const Event before;
  expect_ok(CU(cuEventRecord, before, follower));
  expect_ok(CU(cuGreenCtxWaitEvent, green.get(), before));
  expect_ok(CU(cuStreamSynchronize, stream));
  expect_ok(CU(cuStreamDestroy_v2, stream));
}

OWN_PROCESS_CASE(green, two_parts_beside_each_other) {
  const Context context;
  const auto parts = split(whole_device(), 2, 8);
  require(parts.size() == 2, "there are two parts");
  const Green first(describe({parts[0]})), second(describe({parts[1]}));
  require(first.get() != second.get() && first.context() != second.context(), "two parts are two contexts");
  const Green both(describe(parts));
  CUdevResource resource = {};
  expect_ok(CU(cuGreenCtxGetDevResource, both.get(), &resource, CU_DEV_RESOURCE_TYPE_SM));
  expect_equal(resource.sm.smCount, parts[0].sm.smCount + parts[1].sm.smCount, "the multiprocessors of both parts");
}

/// What is left of it is not touched: the driver aborts the process of who makes its context current.
OWN_PROCESS_CASE(green, ended) {
  const Context context;
  const DeviceMemory memory(4);
  for (int i = 0; i < 3; ++i) {
    Green green(describe(split(whole_device(), 1, 8)));
    green.destroy();
  }
  memory.write_word(5);
  expect_equal(memory.word(), 5U, "the word in the primary context");
}
CASE(green, no_green_context) {
  CUcontext context = nullptr;
  expect(CU(cuCtxFromGreenCtx, &context, nullptr), CUDA_ERROR_INVALID_CONTEXT);
  expect(CU(cuGreenCtxDestroy, nullptr), CUDA_ERROR_INVALID_CONTEXT);
}

CASE(context_event, recorded_for_the_whole_context) {
  const Context context;
  const Module module;
  const Stream stream;
  const Event event;
  Spinner spinner(module);
  spinner.start(stream);
  expect_ok(CU(cuCtxRecordEvent, context.get(), event));
  expect(CU(cuEventQuery, event), CUDA_ERROR_NOT_READY);
  spinner.release();
  expect_ok(CU(cuEventSynchronize, event));
  spinner.require_not_expired();
}
CASE(context_event, waited_for_by_the_whole_context) {
  const Context context;
  const Module module;
  const Stream busy, other;
  const Event event;
  const PinnedMemory word(4);
  Spinner spinner(module);
  spinner.start(busy);
  expect_ok(CU(cuEventRecord, event, busy));
  expect_ok(CU(cuCtxWaitEvent, context.get(), event));
  launch(module.function("store"), {}, {}, other, word.device(), 3U);
  expect(CU(cuStreamQuery, other), CUDA_ERROR_NOT_READY);
  spinner.release();
  other.synchronize();
  spinner.require_not_expired();
  expect_equal(word.word(), 3U, "the word");
}
CASE(context_event, errors) {
  const Context context;
  const Event event;
  expect(CU(cuCtxRecordEvent, nullptr, event), CUDA_ERROR_INVALID_CONTEXT);
  expect(CU(cuCtxWaitEvent, nullptr, event), CUDA_ERROR_INVALID_CONTEXT);
  expect(CU(cuCtxRecordEvent, context.get(), nullptr), CUDA_ERROR_INVALID_HANDLE);
}

}  // namespace
}  // namespace conformance
