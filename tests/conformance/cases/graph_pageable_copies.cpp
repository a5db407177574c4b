// SPDX-License-Identifier: Apache-2.0
// Copies in nodes made by hand, from and to memory that is not pinned: the graph reads and writes it when it runs.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(graph_pageable_copy, to_the_device) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4096);
  std::vector<uint8_t> host = pattern(4096, 1);
  const Graph graph(new_graph());
  add_copy(graph.get(), {}, copy_to_device(memory.at(), host.data(), host.size()), context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_same(memory.read(), host);
  const std::vector<uint8_t> others = pattern(4096, 2);
  std::copy(others.begin(), others.end(), host.begin());
  run(exec, stream);
  expect_same(memory.read(), others);
}
CASE(graph_pageable_copy, to_the_host) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4096);
  std::vector<uint8_t> host(4096);
  const Graph graph(new_graph());
  add_copy(graph.get(), {}, copy_to_host(host.data(), memory.at(), host.size()), context);
  const GraphExec exec(graph);
  for (uint32_t seed = 1; seed < 3; ++seed) {
    memory.write(pattern(4096, seed));
    run(exec, stream);
    expect_same(host, pattern(4096, seed));
  }
}
CASE(graph_pageable_copy, between_nodes) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  uint32_t in = 41, out = 0;
  const Graph graph(new_graph());
  const CUgraphNode first = add_copy(graph.get(), {}, copy_to_device(memory.at(), &in, 4), context);
  const CUgraphNode kernel = add_kernel(graph.get(), {first}, module.function("increment"), memory.at());
  add_copy(graph.get(), {kernel}, copy_to_host(&out, memory.at(), 4), context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(out, 42U, "the word");
}
CASE(graph_pageable_copy, on_the_host) {
  const Context context;
  const Stream stream;
  const std::vector<uint8_t> from = pattern(256);
  std::vector<uint8_t> to(256);
  CUDA_MEMCPY3D copy = copy_to_host(to.data(), 0, 256);
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = from.data();
  const Graph graph(new_graph());
  add_copy(graph.get(), {}, copy, context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_same(to, from);
}
CASE(graph_pageable_copy, of_rows) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(64);
  const std::vector<uint8_t> host = pattern(128);
  CUDA_MEMCPY3D copy = copy_to_device(memory.at(), host.data(), 8);
  copy.srcXInBytes = 4;
  copy.srcY = 1;
  copy.srcPitch = 32;
  copy.dstPitch = 16;
  copy.Height = 3;
  const Graph graph(new_graph());
  add_copy(graph.get(), {}, copy, context);
  const GraphExec exec(graph);
  run(exec, stream);
  const std::vector<uint8_t> found = memory.read();
  for (size_t y = 0; y < 3; ++y)
    for (size_t x = 0; x < 8; ++x) expect_equal(found[y * 16 + x], host[(y + 1) * 32 + 4 + x], "a byte");
}
CASE(graph_pageable_copy, is_one_node) {
  const Context context;
  const DeviceMemory memory(4096);
  const std::vector<uint8_t> host = pattern(4096);
  const Graph graph(new_graph());
  const CUDA_MEMCPY3D copy = copy_to_device(memory.at(), host.data(), host.size());
  const CUgraphNode node = add_copy(graph.get(), {}, copy, context);
  expect_equal(nodes_of(graph.get()).size(), size_t{1}, "nodes");
  expect_equal(type_of(node), unsigned{CU_GRAPH_NODE_TYPE_MEMCPY}, "type of the node");
  CUDA_MEMCPY3D found = {};
  expect_ok(CU(cuGraphMemcpyNodeGetParams, node, &found));
  require(found.srcHost == host.data() && found.dstDevice == memory.at(), "the addresses are told");
  expect_equal(found.WidthInBytes, host.size(), "width");
}
CASE(graph_pageable_copy, changed) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(64);
  const std::vector<uint8_t> a = pattern(64, 1), b = pattern(64, 2);
  const Graph graph(new_graph());
  const CUgraphNode node = add_copy(graph.get(), {}, copy_to_device(memory.at(), a.data(), 64), context);
  const CUDA_MEMCPY3D other = copy_to_device(memory.at(), b.data(), 64);
  expect_ok(CU(cuGraphMemcpyNodeSetParams, node, &other));
  const GraphExec exec(graph);
  run(exec, stream);
  expect_same(memory.read(), b);
}
CASE(graph_pageable_copy, changed_in_the_executable_graph) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(64);
  const std::vector<uint8_t> a = pattern(64, 1), b = pattern(64, 2);
  const Graph graph(new_graph());
  const CUgraphNode node = add_copy(graph.get(), {}, copy_to_device(memory.at(), a.data(), 64), context);
  const GraphExec exec(graph), unchanged(graph);
  const CUDA_MEMCPY3D other = copy_to_device(memory.at(), b.data(), 64);
  expect_ok(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), node, &other, context.get()));
  run(exec, stream);
  expect_same(memory.read(), b);
  run(unchanged, stream);
  expect_same(memory.read(), a);
}
CASE(graph_pageable_copy, becomes_one_of_pinned_memory) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4);
  const PinnedMemory pinned(4);
  pinned.set_word(5);
  const uint32_t word = 4;
  const Graph graph(new_graph());
  const CUgraphNode node = add_copy(graph.get(), {}, copy_to_device(memory.at(), &word, 4), context);
  const GraphExec exec(graph);
  const CUDA_MEMCPY3D other = copy_to_device(memory.at(), pinned.get(), 4);
  expect_ok(CU(cuGraphExecMemcpyNodeSetParams, exec.get(), node, &other, context.get()));
  run(exec, stream);
  expect_equal(memory.word(), 5U, "the word");
}
CASE(graph_pageable_copy, in_registered_memory) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4096);
  const size_t page = 4096;
  auto* const host = static_cast<uint8_t*>(std::aligned_alloc(page, page));
  std::memset(host, 7, page);
  expect_ok(CU(cuMemHostRegister_v2, host, page, 0));
  {
    const Graph graph(new_graph());
    add_copy(graph.get(), {}, copy_to_device(memory.at(), host, page), context);
    const GraphExec exec(graph);
    run(exec, stream);
    expect_same(memory.read(), std::vector<uint8_t>(page, 7));
  }
  expect_ok(CU(cuMemHostUnregister, host));
  std::free(host);
}

}  // namespace
}  // namespace conformance
