// SPDX-License-Identifier: Apache-2.0
// Calls that a driver under test may lack: it must say so or do them, and never crash.
// What must not be tried on a device that others use (multicast, foreign checkpoints, large managed memory) is not
// here.
#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

/// A call that the library may even lack the symbol of.
#define OPTIONAL(function, ...) \
  (driver().function == nullptr ? skip("the library does not export " #function) : void(), CU(function, ##__VA_ARGS__))

bool works(Outcome outcome, Where where = Where::current()) {
  return expect_one_of(outcome, {CUDA_SUCCESS, CUDA_ERROR_NOT_SUPPORTED}, where) == CUDA_SUCCESS;
}

CASE(optional, managed_memory) {
  const Context context;
  CUdeviceptr address = 0;
  if (!works(OPTIONAL(cuMemAllocManaged, &address, 4096, 1))) return;
  expect_ok(CU(cuMemFree_v2, address));
}
CASE(optional, context_event) {
  const Context context;
  const Event event;
  if (works(OPTIONAL(cuCtxRecordEvent, context.get(), event))) expect_ok(CU(cuEventSynchronize, event));
}
CASE(optional, graph_clone) {
  const Context context;
  CUgraph made = nullptr, copy = nullptr;
  expect_ok(CU(cuGraphCreate, &made, 0));
  const Graph graph(made);
  if (works(OPTIONAL(cuGraphClone, &copy, graph.get()))) expect_ok(CU(cuGraphDestroy, copy));
}
CASE(optional, texture_reference) {
  const Context context;
  CUtexref reference = nullptr;
  if (works(OPTIONAL(cuTexRefCreate, &reference))) expect_ok(CU(cuTexRefDestroy, reference));
}
CASE(optional, copy_3d) {
  const Context context;
  const DeviceMemory memory(4096);
  const auto host = pattern(4096);
  CUDA_MEMCPY3D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST, copy.srcHost = host.data(), copy.srcPitch = 64, copy.srcHeight = 8;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE, copy.dstDevice = memory.at(), copy.dstPitch = 64, copy.dstHeight = 8;
  copy.WidthInBytes = 64, copy.Height = 8, copy.Depth = 8;
  if (works(OPTIONAL(cuMemcpy3D_v2, &copy))) expect_same(memory.read(), host);
}
CASE(optional, graph_memory_attribute) {
  const Context context;
  uint64_t value = 0;
  works(OPTIONAL(cuDeviceGetGraphMemAttribute, 0, 0, &value));
}
CASE(optional, stream_of_green_context) {
  const Context context;
  const Stream stream;
  CUcontext owner = nullptr;
  CUgreenCtx green = nullptr;
  works(OPTIONAL(cuStreamGetCtx_v2, stream, &owner, &green));
}
CASE(optional, texture_width) {
  const Context context;
  size_t width = 0;
  works(OPTIONAL(cuDeviceGetTexture1DLinearMaxWidth, &width, 0x20, 1, 0));
}
CASE(optional, profiler) {
  const Context context;
  works(OPTIONAL(cuProfilerStart));
  works(OPTIONAL(cuProfilerStop));
}

}  // namespace
}  // namespace conformance
