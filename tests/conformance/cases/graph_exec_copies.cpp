// SPDX-License-Identifier: Apache-2.0
// Copies on the device in executable graphs, changed as XLA changes them: only the width is given, with one row and one
// slice, no pitch and no height of a slice; the context is named.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

constexpr size_t kWords = 64;

/// Words that differ; the second half is 0.
void fill_half(CUdeviceptr at) {
  std::vector<uint32_t> words(kWords);
  for (size_t i = 0; i < kWords / 2; ++i) words[i] = static_cast<uint32_t>(i) + 1;
  expect_ok(CU(cuMemcpyHtoD_v2, at, words.data(), kWords * 4));
}
uint32_t word_at(CUdeviceptr at) {
  uint32_t word = 0;
  expect_ok(CU(cuMemcpyDtoH_v2, &word, at, sizeof word));
  return word;
}

CUDA_MEMCPY3D one_row(CUdeviceptr to, CUdeviceptr from, size_t size) {
  CUDA_MEMCPY3D copy = {};
  copy.srcMemoryType = copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = from;
  copy.dstDevice = to;
  copy.WidthInBytes = size;
  copy.Height = copy.Depth = 1;
  return copy;
}

/// A graph of one copy of 4 bytes from the beginning of the words to their second half.
struct OneCopy {
  OneCopy(const Context& owner, CUdeviceptr at) : context(owner.get()), graph(new_graph()) {
    fill_half(at);
    const CUDA_MEMCPY3D copy = one_row(at + kWords * 2, at, 4);
    expect_ok(CU(cuGraphAddMemcpyNode, &node, graph.get(), nullptr, 0, &copy, context));
  }
  /// Changed, and run.
  void becomes(const GraphExec& exec, CUdeviceptr to, CUdeviceptr from, size_t size) {
    const CUDA_MEMCPY3D copy = one_row(to, from, size);
    expect_ok(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), node, &copy, context));
    run(exec, stream);
  }
  /// The same with memory of a pool or mapped memory on a side: the driver refuses that, whatever the node was made
  /// with. Whether it was taken.
  bool may_become(const GraphExec& exec, CUdeviceptr to, CUdeviceptr from, size_t size) {
    const CUDA_MEMCPY3D copy = one_row(to, from, size);
    const bool taken = expect_one_of(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), node, &copy, context),
                                     {CUDA_ERROR_INVALID_VALUE, CUDA_SUCCESS}) == CUDA_SUCCESS;
    if (taken) run(exec, stream);
    return taken;
  }
  CUcontext context;
  Graph graph;
  CUgraphNode node = nullptr;
  Stream stream;
};

CASE(graph_exec_copy, of_another_size) {
  const Context context;
  const DeviceMemory memory(kWords * 4);
  OneCopy one(context, memory.at());
  const GraphExec exec(one.graph);
  one.becomes(exec, memory.at(128), memory.at(0), 64);
  expect_equal(memory.word(32 + 15), 16U, "the last word of what is copied");
  one.becomes(exec, memory.at(128), memory.at(8), 4);
  expect_equal(memory.word(32), 3U, "the word of the smaller copy");
  expect_equal(memory.word(33), 2U, "the word behind it");
}
CASE(graph_exec_copy, at_other_offsets) {
  const Context context;
  const DeviceMemory memory(kWords * 4);
  OneCopy one(context, memory.at());
  const GraphExec exec(one.graph);
  for (size_t i = 0; i < 8; ++i) one.becomes(exec, memory.at(128 + i * 12), memory.at(4 + i * 4), 4);
  expect_equal(memory.word(32 + 21), 9U, "the last word");
  expect_equal(memory.word(33), 0U, "a word in between");
}
CASE(graph_exec_copy, of_other_memory) {
  const Context context;
  const DeviceMemory memory(kWords * 4), from(kWords * 4), to(4096);
  fill_half(from.at());
  OneCopy one(context, memory.at());
  const GraphExec exec(one.graph);
  one.becomes(exec, to.at(100), from.at(20), 8);
  expect_equal(to.word(26), 7U, "the word in other memory");
  expect_equal(memory.word(32), 0U, "the word in the old memory");
}
CASE(graph_exec_copy, of_the_same_memory) {
  const Context context;
  const DeviceMemory memory(kWords * 4);
  OneCopy one(context, memory.at());
  const GraphExec exec(one.graph);
  one.becomes(exec, memory.at(16), memory.at(16), 16);
  expect_equal(memory.word(4), 5U, "the word that is copied to itself");
}
CASE(graph_exec_copy, of_memory_of_a_pool) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(kWords * 4);
  CUdeviceptr pooled = 0;
  expect_ok(CU(cuMemAllocAsync, &pooled, kWords * 4, stream));
  stream.synchronize();
  fill_half(pooled);
  OneCopy one(context, memory.at());
  const GraphExec exec(one.graph);
  if (one.may_become(exec, memory.at(128), pooled + 12, 8)) expect_equal(memory.word(33), 5U, "the word from the pool");
  if (one.may_become(exec, pooled + 200, memory.at(0), 4))
    expect_equal(word_at(pooled + 200), 1U, "the word in the pool");
  expect_ok(CU(cuMemFreeAsync, pooled, stream));
  stream.synchronize();
}
CASE(graph_exec_copy, of_mapped_memory) {
  const Context context;
  CUmemAllocationProp prop = {};
  prop.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  prop.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  size_t piece = 0;
  expect_ok(CU(cuMemGetAllocationGranularity, &piece, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
  CUdeviceptr range = 0;
  CUmemGenericAllocationHandle parts[2] = {};
  expect_ok(CU(cuMemAddressReserve, &range, 2 * piece, 0, 0, 0));
  for (size_t i = 0; i < 2; ++i) {
    expect_ok(CU(cuMemCreate, &parts[i], piece, &prop, 0));
    expect_ok(CU(cuMemMap, range + i * piece, piece, 0, parts[i], 0));
  }
  const CUmemAccessDesc access = {prop.location, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
  expect_ok(CU(cuMemSetAccess, range, 2 * piece, &access, 1));
  {
    OneCopy one(context, range);
    const GraphExec exec(one.graph);
    if (one.may_become(exec, range + piece - 8, range, 16))  // over the border of two mappings
      expect_equal(word_at(range + piece + 4), 4U, "the last word");
    if (one.may_become(exec, range + piece + 512, range + 8, 4))
      expect_equal(word_at(range + piece + 512), 3U, "the word in the other mapping");
    const DeviceMemory memory(16);
    if (one.may_become(exec, memory.at(), range + 4, 4)) expect_equal(memory.word(), 2U, "the word in ordinary memory");
  }
  expect_ok(CU(cuMemUnmap, range, 2 * piece));
  for (const auto part : parts) expect_ok(CU(cuMemRelease, part));
  expect_ok(CU(cuMemAddressFree, range, 2 * piece));
}
CASE(graph_exec_copy, of_a_global) {
  const Context context;
  const Module module(kVariables);
  CUdeviceptr global = 0;
  size_t size = 0;
  expect_ok(CU(cuModuleGetGlobal_v2, &global, &size, module.get(), "counter"));
  const DeviceMemory memory(kWords * 4);
  const uint32_t value = 77;
  expect_ok(CU(cuMemcpyHtoD_v2, global, &value, sizeof value));
  OneCopy one(context, memory.at());
  const GraphExec exec(one.graph);
  one.becomes(exec, memory.at(128), global, 4);
  expect_equal(memory.word(32), 77U, "the word of the global");
}
CASE(graph_exec_copy, of_nothing) {
  const Context context;
  const DeviceMemory memory(kWords * 4);
  OneCopy one(context, memory.at());
  const GraphExec exec(one.graph);
  const CUDA_MEMCPY3D copy = one_row(memory.at(128), memory.at(), 0);
  expect(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), one.node, &copy, one.context), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_exec_copy, made_by_a_capture) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(kWords * 4);
  fill_half(memory.at());
  const Graph graph(
      capture(stream, [&] { expect_ok(CU(cuMemcpyDtoDAsync_v2, memory.at(128), memory.at(), 4, stream)); }));
  const GraphExec exec(graph);
  const CUDA_MEMCPY3D copy = one_row(memory.at(128), memory.at(8), 16);
  expect_ok(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), node_of_type(graph.get(), CU_GRAPH_NODE_TYPE_MEMCPY), &copy,
               context.get()));
  run(exec, stream);
  expect_equal(memory.word(35), 6U, "the last word");
}

}  // namespace
}  // namespace conformance
