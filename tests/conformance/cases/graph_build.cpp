// SPDX-License-Identifier: Apache-2.0
// Graphs built node by node, and what their launches do.
#include <cstring>

#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(graph_build, fill_kernel_copy) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(8);
  const PinnedMemory out(8);
  const Graph graph(new_graph());
  CUgraphNode node = add_fill(graph.get(), {}, fill_words(memory.at(), 40, 2), context);
  node = add_kernel(graph.get(), {node}, module.function("increment"), memory.at(4));
  add_copy(graph.get(), {node}, copy_to_host(out.get(), memory.at(), 8), context);
  const GraphExec exec(graph);
  for (int i = 0; i < 5; ++i) {
    out.set_word(0, 0), out.set_word(0, 1);
    run(exec, stream);
    expect_equal(out.word(0), 40U, "the word that was set");
    expect_equal(out.word(1), 41U, "the word that was set and incremented");
  }
}
CASE(graph_build, diamond) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(8);
  const PinnedMemory out(8);
  const Graph graph(new_graph());
  const CUgraphNode top = add_fill(graph.get(), {}, fill_words(memory.at(), 1, 2), context);
  const CUgraphNode left = add_kernel(graph.get(), {top}, module.function("increment"), memory.at(0));
  const CUgraphNode right = add_kernel(graph.get(), {top}, module.function("increment"), memory.at(4));
  add_copy(graph.get(), {left, right}, copy_to_host(out.get(), memory.at(), 8), context);
  const GraphExec exec(graph);
  for (int i = 0; i < 20; ++i) {
    out.set_word(0, 0), out.set_word(0, 1);
    run(exec, stream);
    expect_equal(out.word(0), 2U, "the word of the left side");
    expect_equal(out.word(1), 2U, "the word of the right side");
  }
}
CASE(graph_build, long_chain) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(new_graph());
  Nodes after;
  for (int i = 0; i < 200; ++i) after = {add_kernel(graph.get(), after, module.function("increment"), memory.at())};
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 200U, "the word");
}
CASE(graph_build, parameters_are_copied_at_once) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  CUdeviceptr address = memory.at();
  uint32_t value = 7;
  void* parameters[] = {&address, &value};
  KernelNode kernel(module.function("store"));
  kernel.get()->kernelParams = parameters;
  add_kernel(graph.get(), {}, kernel);
  value = 8;
  address = 0;
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 7U, "the word");
}
CASE(graph_build, parameters_in_one_block) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(8);
  memory.write_word(0, 0), memory.write_word(55, 1);
  const Graph graph(new_graph());
  CUdeviceptr block[] = {memory.at(0), memory.at(4)};
  size_t size = sizeof block;
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), block,
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &size, reinterpret_cast<void*>(kLaunchParamEnd)};
  KernelNode kernel(module.function("copy_word"));
  kernel.get()->extra = extra;
  add_kernel(graph.get(), {}, kernel);
  block[0] = block[1] = 0;
  size = 0;
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(0), 55U, "the word");
}
CASE(graph_build, many_blocks_and_threads) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(new_graph());
  KernelNode kernel(module.function("count_threads"), memory.at());
  kernel.get()->gridDimX = 3, kernel.get()->gridDimY = 2;
  kernel.get()->blockDimX = 32, kernel.get()->blockDimZ = 2;
  add_kernel(graph.get(), {}, kernel);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 384U, "the threads that ran");
}
CASE(graph_build, kernel_of_a_library) {
  const Context context;
  const Library library;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  KernelNode kernel(nullptr, memory.at(), uint32_t{9});
  kernel.get()->kern = library.kernel("store");
  add_kernel(graph.get(), {}, kernel);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 9U, "the word");
}
CASE(graph_build, kernel_of_a_library_in_a_named_context) {
  const Context context;
  const Library library;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  KernelNode kernel(nullptr, memory.at(), uint32_t{10});
  kernel.get()->kern = library.kernel("store");
  kernel.get()->ctx = context.get();
  add_kernel(graph.get(), {}, kernel);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 10U, "the word");
}
CASE(graph_build, kernel_by_the_older_symbol) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph graph(new_graph());
  KernelNode kernel(module.function("store"), memory.at(), uint32_t{11});
  CUDA_KERNEL_NODE_PARAMS_v1 older = {};
  std::memcpy(&older, kernel.get(), sizeof older);
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddKernelNode, &node, graph.get(), nullptr, 0, &older));
  CUDA_KERNEL_NODE_PARAMS_v1 found = {};
  expect_ok(CU(cuGraphKernelNodeGetParams, node, &found));
  require(found.func == older.func, "the node has the function");
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 11U, "the word");
}
CASE(graph_build, fills_of_all_element_sizes) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(12);
  const Graph graph(new_graph());
  add_fill(graph.get(), {}, {memory.at(0), 0, 0x11, 1, 4, 1}, context);
  add_fill(graph.get(), {}, {memory.at(4), 0, 0x2233, 2, 2, 1}, context);
  add_fill(graph.get(), {}, {memory.at(8), 0, 0x44556677, 4, 1, 1}, context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(0), 0x11111111U, "the bytes");
  expect_equal(memory.word(1), 0x22332233U, "the half words");
  expect_equal(memory.word(2), 0x44556677U, "the word");
}
CASE(graph_build, fill_of_a_rectangle) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(64);
  memory.write(std::vector<uint8_t>(64, 0));
  const Graph graph(new_graph());
  add_fill(graph.get(), {}, {memory.at(4), 16, 5, 4, 2, 3}, context);
  const GraphExec exec(graph);
  run(exec, stream);
  for (size_t i = 0; i < 16; ++i) {
    const bool inside = i / 4 < 3 && (i % 4 == 1 || i % 4 == 2);
    expect_equal(memory.word(i), inside ? 5U : 0U, "word " + std::to_string(i));
  }
}
CASE(graph_build, copies_in_all_directions) {
  const Context context;
  const Stream stream;
  const DeviceMemory a(256), b(256);
  const PinnedMemory in(256), out(256);
  const auto bytes = pattern(256);
  std::memcpy(in.get(), bytes.data(), 256);
  const Graph graph(new_graph());
  CUgraphNode node = add_copy(graph.get(), {}, copy_to_device(a.at(), in.get(), 256), context);
  node = add_copy(graph.get(), {node}, copy_on_device(b.at(), a.at(), 256), context);
  add_copy(graph.get(), {node}, copy_to_host(out.get(), b.at(), 256), context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_same({out.bytes(), out.bytes() + 256}, bytes);
}
CASE(graph_build, copy_of_a_box) {
  const Context context;
  const Stream stream;
  const DeviceMemory memory(4 * 4 * 16);
  const PinnedMemory out(2 * 2 * 8);
  const auto bytes = pattern(memory.size());
  memory.write(bytes);
  const Graph graph(new_graph());
  CUDA_MEMCPY3D copy = copy_to_host(out.get(), memory.at(), 8);
  copy.srcXInBytes = 4, copy.srcY = 1, copy.srcZ = 2;
  copy.srcPitch = 16, copy.srcHeight = 4;
  copy.dstPitch = 8, copy.dstHeight = 2;
  copy.Height = 2, copy.Depth = 2;
  add_copy(graph.get(), {}, copy, context);
  const GraphExec exec(graph);
  run(exec, stream);
  std::vector<uint8_t> wanted;
  for (size_t z = 2; z < 4; ++z) {
    for (size_t y = 1; y < 3; ++y) {
      const auto row = bytes.begin() + static_cast<std::ptrdiff_t>((z * 4 + y) * 16 + 4);
      wanted.insert(wanted.end(), row, row + 8);
    }
  }
  expect_same({out.bytes(), out.bytes() + wanted.size()}, wanted);
}
CASE(graph_build, host_functions_in_order) {
  const Context context;
  const Stream stream;
  struct Call {
    std::vector<int>* order;
    int number;
  };
  std::vector<int> order;
  order.reserve(16);
  std::vector<Call> calls;
  for (int i = 0; i < 8; ++i) calls.push_back({&order, i});
  const Graph graph(new_graph());
  Nodes after;
  for (Call& call : calls) {
    after = {add_host(
        graph.get(), after,
        [](void* user) {
          const Call* own = static_cast<Call*>(user);
          own->order->push_back(own->number);
        },
        &call)};
  }
  const GraphExec exec(graph);
  run(exec, stream);
  run(exec, stream);
  expect_equal(order.size(), size_t{16}, "the number of calls");
  for (size_t i = 0; i < order.size(); ++i) expect_equal(order[i], static_cast<int>(i % 8), "a call");
}
CASE(graph_build, host_function_sees_what_came_before) {
  const Context context;
  const Module module;
  const Stream stream;
  struct State {
    const PinnedMemory* word;
    uint32_t seen;
  };
  const PinnedMemory word(4);
  State state = {&word, 0};
  const Graph graph(new_graph());
  const CUgraphNode kernel = add_kernel(graph.get(), {}, module.function("store"), word.device(), uint32_t{77});
  add_host(
      graph.get(), {kernel},
      [](void* user) {
        auto* own = static_cast<State*>(user);
        own->seen = own->word->word();
      },
      &state);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(state.seen, 77U, "the word that the function saw");
}

CASE(graph_build, child_graph) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const PinnedMemory out(4);
  const Graph child(new_graph()), graph(new_graph());
  const CUgraphNode first = add_kernel(child.get(), {}, module.function("increment"), memory.at());
  add_kernel(child.get(), {first}, module.function("increment"), memory.at());
  CUgraphNode node = add_fill(graph.get(), {}, fill_words(memory.at(), 5), context);
  node = add_child(graph.get(), {node}, child.get());
  expect_equal(type_of(node), 0U + CU_GRAPH_NODE_TYPE_GRAPH, "the type");
  add_copy(graph.get(), {node}, copy_to_host(out.get(), memory.at(), 4), context);
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(out.word(), 7U, "the word");
}
CASE(graph_build, child_graph_is_a_copy) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph graph(new_graph());
  {
    const Graph child(new_graph());
    add_kernel(child.get(), {}, module.function("increment"), memory.at());
    add_child(graph.get(), {}, child.get());
    add_kernel(child.get(), {}, module.function("increment"), memory.at());
  }
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 1U, "the word");
}
CASE(graph_build, children_of_children) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  memory.write_word(0);
  const Graph innermost(new_graph()), inner(new_graph()), graph(new_graph());
  add_kernel(innermost.get(), {}, module.function("increment"), memory.at());
  const CUgraphNode once = add_child(inner.get(), {}, innermost.get());
  add_child(inner.get(), {once}, innermost.get());
  const CUgraphNode twice = add_child(graph.get(), {}, inner.get());
  add_child(graph.get(), {twice}, inner.get());
  const GraphExec exec(graph);
  run(exec, stream);
  expect_equal(memory.word(), 4U, "the word");
}
CASE(graph_build, empty_child_graph_keeps_the_order) {
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory memory(4);
  const Graph child(new_graph()), graph(new_graph());
  CUgraphNode node = add_fill(graph.get(), {}, fill_words(memory.at(), 5), context);
  node = add_child(graph.get(), {node}, child.get());
  add_kernel(graph.get(), {node}, module.function("increment"), memory.at());
  const GraphExec exec(graph);
  for (int i = 0; i < 10; ++i) {
    run(exec, stream);
    expect_equal(memory.word(), 6U, "the word");
  }
}

}  // namespace
}  // namespace conformance
