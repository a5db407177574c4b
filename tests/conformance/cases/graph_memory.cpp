// SPDX-License-Identifier: Apache-2.0
// Nodes that allocate and free memory: made by hand and by captures, and the memory that they leave.
#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

constexpr unsigned long long kAutoFree = 1;

void need_pools() {
  if (device_attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED) == 0) skip("the device has no memory pools");
}

CUDA_MEM_ALLOC_NODE_PARAMS bytes_on_device(size_t size) {
  CUDA_MEM_ALLOC_NODE_PARAMS params = {};
  params.poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
  params.poolProps.location = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
  params.bytesize = size;
  return params;
}

struct Allocated {
  CUgraphNode node = nullptr;
  CUdeviceptr address = 0;
};
Allocated add_allocation(CUgraph graph, const Nodes& after, size_t size) {
  CUDA_MEM_ALLOC_NODE_PARAMS params = bytes_on_device(size);
  Allocated made;
  expect_ok(CU(cuGraphAddMemAllocNode, &made.node, graph, array_of(after), after.size(), &params));
  made.address = params.dptr;
  require(made.address != 0, "the address is known when the node is made");
  return made;
}
CUgraphNode add_free(CUgraph graph, const Nodes& after, CUdeviceptr address) {
  CUgraphNode node = nullptr;
  expect_ok(CU(cuGraphAddMemFreeNode, &node, graph, array_of(after), after.size(), address));
  return node;
}

uint64_t graph_memory(CUgraphMem_attribute attribute) {
  uint64_t value = 0;
  expect_ok(CU(cuDeviceGetGraphMemAttribute, 0, attribute, &value));
  return value;
}

class Exec {
 public:
  explicit Exec(CUgraph graph, unsigned long long flags = 0) {
    expect_ok(CU(cuGraphInstantiateWithFlags, &exec_, graph, flags));
  }
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;
  ~Exec() { driver().cuGraphExecDestroy(exec_); }
  CUgraphExec get() const { return exec_; }
  void run(const Stream& stream) const {
    expect_ok(CU(cuGraphLaunch, exec_, stream));
    stream.synchronize();
  }

 private:
  CUgraphExec exec_ = nullptr;
};

CASE(graph_memory, allocated_used_and_freed) {
  need_pools();
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory out(400);
  const Graph graph(new_graph());
  const Allocated block = add_allocation(graph.get(), {}, 4000);
  const CUgraphNode fill = add_fill(graph.get(), {block.node}, fill_words(block.address, 7, 1000), context);
  const CUgraphNode copy = add_copy(graph.get(), {fill}, copy_on_device(out.at(), block.address + 3600, 400), context);
  add_free(graph.get(), {copy}, block.address);
  const Exec exec(graph.get());
  for (int i = 0; i < 3; ++i) {
    out.write_word(0, 99);
    exec.run(stream);
    expect_equal(out.word(99), 7U, "the last word");
  }
}
CASE(graph_memory, of_arbitrary_type) {
  need_pools();
  const Context context;
  const Stream stream;
  const Graph graph(new_graph());
  CUgraphNodeParams params = {};
  params.type = CU_GRAPH_NODE_TYPE_MEM_ALLOC;
  params.alloc = bytes_on_device(256);
  CUgraphNode allocation = nullptr, free = nullptr;
  expect_ok(CU(cuGraphAddNode_v2, &allocation, graph.get(), nullptr, nullptr, 0, &params));
  const CUdeviceptr address = params.alloc.dptr;
  require(address != 0, "the address is told");
  params = {};
  params.type = CU_GRAPH_NODE_TYPE_MEM_FREE;
  params.free.dptr = address;
  expect_ok(CU(cuGraphAddNode_v2, &free, graph.get(), &allocation, nullptr, 1, &params));
  expect_equal(type_of(allocation), unsigned{CU_GRAPH_NODE_TYPE_MEM_ALLOC}, "type of the allocation");
  expect_equal(type_of(free), unsigned{CU_GRAPH_NODE_TYPE_MEM_FREE}, "type of the free");
  const Exec exec(graph.get());
  exec.run(stream);
}
CASE(graph_memory, parameters_read_back) {
  need_pools();
  const Context context;
  const Graph graph(new_graph());
  const Allocated block = add_allocation(graph.get(), {}, 5000);
  const CUgraphNode free = add_free(graph.get(), {block.node}, block.address);
  CUDA_MEM_ALLOC_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphMemAllocNodeGetParams, block.node, &found));
  expect_equal(found.dptr, block.address, "address of the allocation");
  expect_equal(found.bytesize, size_t{5000}, "size of the allocation");
  expect_equal(found.poolProps.location.type, unsigned{CU_MEM_LOCATION_TYPE_DEVICE}, "kind of place");
  CUdeviceptr freed = 0;
  expect_ok(CU(cuGraphMemFreeNodeGetParams, free, &freed));
  expect_equal(freed, block.address, "address that is freed");
  expect(CU(cuGraphMemFreeNodeGetParams, block.node, &freed), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_memory, left_to_the_program) {
  need_pools();
  const Context context;
  const Stream stream;
  const Graph graph(new_graph());
  const Allocated block = add_allocation(graph.get(), {}, 4096);
  add_fill(graph.get(), {block.node}, fill_words(block.address, 9, 1024), context);
  const Exec exec(graph.get());
  exec.run(stream);
  uint32_t word = 0;
  expect_ok(CU(cuMemcpyDtoH_v2, &word, block.address + 4092, sizeof word));
  expect_equal(word, 9U, "the last word, read by a call");
  expect_ok(CU(cuMemsetD32_v2, block.address, 4, 1));
  unsigned type = 0;
  expect_ok(CU(cuPointerGetAttribute, &type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, block.address));
  expect_equal(type, unsigned{CU_MEMORYTYPE_DEVICE}, "kind of memory");
  expect_ok(CU(cuMemFreeAsync, block.address, stream));
  exec.run(stream);
  expect_ok(CU(cuMemFree_v2, block.address));
}
CASE(graph_memory, launched_again_while_it_is_allocated) {
  need_pools();
  const Context context;
  const Stream stream;
  const Graph graph(new_graph());
  const Allocated block = add_allocation(graph.get(), {}, 4096);
  const Exec exec(graph.get());
  exec.run(stream);
  expect(CU(cuGraphLaunch, exec.get(), stream), CUDA_ERROR_INVALID_VALUE);
  expect_ok(CU(cuMemFreeAsync, block.address, stream));
  exec.run(stream);
  expect_ok(CU(cuMemFreeAsync, block.address, stream));
  stream.synchronize();
}
CASE(graph_memory, freed_by_the_next_launch) {
  need_pools();
  const Context context;
  const Stream stream;
  const Graph graph(new_graph());
  const Allocated block = add_allocation(graph.get(), {}, 4096);
  add_fill(graph.get(), {block.node}, fill_words(block.address, 9), context);
  const Exec exec(graph.get(), kAutoFree);
  cuuint64_t flags = 0;
  expect_ok(CU(cuGraphExecGetFlags, exec.get(), &flags));
  expect_equal(flags, cuuint64_t{kAutoFree}, "the flags");
  for (int i = 0; i < 3; ++i) exec.run(stream);
  uint32_t word = 0;
  expect_ok(CU(cuMemcpyDtoH_v2, &word, block.address, sizeof word));
  expect_equal(word, 9U, "the word");
  expect_ok(CU(cuMemFreeAsync, block.address, stream));
  stream.synchronize();
}
CASE(graph_memory, freed_by_another_graph) {
  need_pools();
  const Context context;
  const Stream stream;
  const Graph first(new_graph()), second(new_graph());
  const Allocated block = add_allocation(first.get(), {}, 4096);
  const CUgraphNode fill = add_fill(second.get(), {}, fill_words(block.address, 9), context);
  add_free(second.get(), {fill}, block.address);
  const Exec allocates(first.get()), frees(second.get());
  for (int i = 0; i < 2; ++i) {
    allocates.run(stream);
    frees.run(stream);
  }
}
CASE(graph_memory, outlives_its_graph) {
  need_pools();
  const Context context;
  const Stream stream;
  CUdeviceptr address = 0;
  {
    const Graph graph(new_graph());
    const Allocated block = add_allocation(graph.get(), {}, 4096);
    add_fill(graph.get(), {block.node}, fill_words(block.address, 9), context);
    const Exec exec(graph.get());
    exec.run(stream);
    address = block.address;
  }
  uint32_t word = 0;
  expect_ok(CU(cuMemcpyDtoH_v2, &word, address, sizeof word));
  expect_equal(word, 9U, "the word after the graph is gone");
  expect_ok(CU(cuMemFree_v2, address));
}
CASE(graph_memory, captured) {
  need_pools();
  const Context context;
  const Stream stream;
  const DeviceMemory out(4096);
  CUdeviceptr address = 0;
  const Graph graph(capture(stream, [&] {
    expect_ok(CU(cuMemAllocAsync, &address, 4096, stream));
    require(address != 0, "the address is known during the capture");
    expect_ok(CU(cuMemsetD32Async, address, 11, 1024, stream));
    expect_ok(CU(cuMemcpyDtoDAsync_v2, out.at(), address, 4096, stream));
    expect_ok(CU(cuMemFreeAsync, address, stream));
  }));
  CUDA_MEM_ALLOC_NODE_PARAMS found = {};
  expect_ok(CU(cuGraphMemAllocNodeGetParams, node_of_type(graph.get(), CU_GRAPH_NODE_TYPE_MEM_ALLOC), &found));
  expect_equal(found.dptr, address, "address of the captured node");
  expect_equal(found.bytesize, size_t{4096}, "size of the captured node");
  node_of_type(graph.get(), CU_GRAPH_NODE_TYPE_MEM_FREE);
  const Exec exec(graph.get());
  for (int i = 0; i < 2; ++i) {
    out.write_word(0, 1023);
    exec.run(stream);
    expect_equal(out.word(1023), 11U, "the last word");
  }
}
CASE(graph_memory, captured_in_each_mode) {
  need_pools();
  const Context context;
  const Stream stream;
  for (const unsigned mode :
       {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_RELAXED}) {
    CUdeviceptr address = 0;
    CUgraph made = nullptr;
    expect_ok(CU(cuStreamBeginCapture_v2, stream, mode));
    expect_ok(CU(cuMemAllocAsync, &address, 1 << 16, stream));
    expect_ok(CU(cuMemFreeAsync, address, stream));
    expect_ok(CU(cuStreamEndCapture, stream, &made));
    const Graph graph(made);
    const Exec exec(graph.get());
    exec.run(stream);
  }
}
CASE(graph_memory, captured_and_left_to_the_program) {
  need_pools();
  const Context context;
  const Stream stream;
  CUdeviceptr address = 0;
  const Graph graph(capture(stream, [&] {
    expect_ok(CU(cuMemAllocAsync, &address, 4096, stream));
    expect_ok(CU(cuMemsetD32Async, address, 12, 1024, stream));
  }));
  const Exec exec(graph.get());
  exec.run(stream);
  uint32_t word = 0;
  expect_ok(CU(cuMemcpyDtoH_v2, &word, address, sizeof word));
  expect_equal(word, 12U, "the word");
  expect_ok(CU(cuMemFreeAsync, address, stream));
  stream.synchronize();
}
CASE(graph_memory, kernel_uses_it) {
  need_pools();
  const Context context;
  const Module module;
  const Stream stream;
  const DeviceMemory out(4);
  const Graph graph(new_graph());
  const Allocated block = add_allocation(graph.get(), {}, 64);
  const CUgraphNode kernel =
      add_kernel(graph.get(), {block.node}, module.function("store"), block.address, uint32_t{21});
  const CUgraphNode copy = add_copy(graph.get(), {kernel}, copy_on_device(out.at(), block.address, 4), context);
  add_free(graph.get(), {copy}, block.address);
  const Exec exec(graph.get());
  exec.run(stream);
  expect_equal(out.word(), 21U, "the word");
}
CASE(graph_memory, two_blocks_at_a_time) {
  need_pools();
  const Context context;
  const Stream stream;
  const DeviceMemory out(8);
  const Graph graph(new_graph());
  const Allocated a = add_allocation(graph.get(), {}, 4096), b = add_allocation(graph.get(), {a.node}, 8192);
  require(a.address != b.address, "blocks that are there at the same time have addresses of their own");
  const CUgraphNode fill_a = add_fill(graph.get(), {b.node}, fill_words(a.address, 1, 1024), context);
  const CUgraphNode fill_b = add_fill(graph.get(), {fill_a}, fill_words(b.address, 2, 2048), context);
  const CUgraphNode copy_a = add_copy(graph.get(), {fill_b}, copy_on_device(out.at(0), a.address, 4), context);
  const CUgraphNode copy_b = add_copy(graph.get(), {copy_a}, copy_on_device(out.at(4), b.address, 4), context);
  add_free(graph.get(), {copy_b}, a.address);
  add_free(graph.get(), {copy_b}, b.address);
  const Exec exec(graph.get());
  exec.run(stream);
  expect_equal(out.word(0), 1U, "the word of the first");
  expect_equal(out.word(1), 2U, "the word of the second");
}
/// What is used and reserved, in this order, with the marks behind each. When the driver counts a block is its affair.
void observe_graph_memory(const char* when) {
  const uint64_t used = graph_memory(CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT);
  const uint64_t used_high = graph_memory(CU_GRAPH_MEM_ATTR_USED_MEM_HIGH);
  const uint64_t reserved = graph_memory(CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT);
  const uint64_t reserved_high = graph_memory(CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH);
  observe(std::string(when) + ": " + std::to_string(used) + " of " + std::to_string(reserved));
  require(used <= reserved, "no more is used than reserved");
  require(used <= used_high && reserved <= reserved_high, "the marks are as high");
}

CASE(graph_memory, attributes) {
  need_pools();
  const Context context;
  const Stream stream;
  observe_graph_memory("before");
  const Graph graph(new_graph());
  const Allocated block = add_allocation(graph.get(), {}, 4 << 20);
  const Exec exec(graph.get());
  exec.run(stream);
  observe_graph_memory("while it is allocated");
  require(graph_memory(CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH) >= 4 << 20, "as much as the block was reserved once");
  expect_ok(CU(cuMemFreeAsync, block.address, stream));
  stream.synchronize();
  observe_graph_memory("after");
  const uint64_t high = graph_memory(CU_GRAPH_MEM_ATTR_USED_MEM_HIGH);
  uint64_t zero = 0;
  expect_ok(CU(cuDeviceSetGraphMemAttribute, 0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &zero));
  require(graph_memory(CU_GRAPH_MEM_ATTR_USED_MEM_HIGH) <= high, "the mark is no higher once it is put back");
  expect_ok(CU(cuDeviceGraphMemTrim, 0));
}
CASE(graph_memory, attribute_errors) {
  uint64_t value = 0;
  expect(CU(cuDeviceGetGraphMemAttribute, 0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, nullptr), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetGraphMemAttribute, 0, 99, &value), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGetGraphMemAttribute, 99, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &value), CUDA_ERROR_INVALID_DEVICE);
  expect(CU(cuDeviceSetGraphMemAttribute, 0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &value), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuDeviceGraphMemTrim, 99), CUDA_ERROR_INVALID_DEVICE);
}
CASE(graph_memory, of_no_size) {
  need_pools();
  const Context context;
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  CUDA_MEM_ALLOC_NODE_PARAMS params = bytes_on_device(0);
  expect(CU(cuGraphAddMemAllocNode, &node, graph.get(), nullptr, 0, &params), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddMemAllocNode, &node, graph.get(), nullptr, 0, nullptr), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_memory, free_of_other_memory) {
  need_pools();
  const Context context;
  const DeviceMemory memory(4096);
  const Graph graph(new_graph());
  CUgraphNode node = nullptr;
  expect(CU(cuGraphAddMemFreeNode, &node, graph.get(), nullptr, 0, memory.at()), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphAddMemFreeNode, &node, graph.get(), nullptr, 0, 0), CUDA_ERROR_INVALID_VALUE);
}
CASE(graph_memory, instantiated_twice) {
  need_pools();
  const Context context;
  const Graph graph(new_graph());
  const Allocated block = add_allocation(graph.get(), {}, 4096);
  add_free(graph.get(), {block.node}, block.address);
  CUgraphExec second = nullptr;
  {
    const Exec first(graph.get());
    expect_one_of(CU(cuGraphInstantiateWithFlags, &second, graph.get(), 0),
                  {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_SUPPORTED});
  }
  const Exec again(graph.get());
}
CASE(graph_memory, neither_copied_nor_cut) {
  need_pools();
  const Context context;
  const std::initializer_list<CUresult> refused = {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_NOT_SUPPORTED};
  const Graph graph(new_graph()), parent(new_graph());
  const Allocated block = add_allocation(graph.get(), {}, 4096);
  const CUgraphNode free = add_free(graph.get(), {block.node}, block.address);
  CUgraph copy = nullptr;
  CUgraphNode node = nullptr;
  expect_one_of(CU(cuGraphClone, &copy, graph.get()), refused);
  expect_one_of(CU(cuGraphAddChildGraphNode, &node, parent.get(), nullptr, 0, graph.get()), refused);
  expect_one_of(CU(cuGraphDestroyNode, free), refused);
  expect_one_of(CU(cuGraphRemoveDependencies_v2, graph.get(), &block.node, &free, nullptr, 1), refused);
}

}  // namespace
}  // namespace conformance
