// SPDX-License-Identifier: Apache-2.0
// What a graph looks like, as graphviz draws it.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/conformance/fixtures/graph_build.hpp"
#include "tests/conformance/harness/registry.hpp"

namespace conformance {
namespace {

CASE(graph_drawing, written_into_a_file) {
  const Context context;
  const Module module;
  const DeviceMemory memory(16);
  const Graph graph(new_graph()), child(new_graph());
  add_empty(child.get());
  const CUgraphNode fill = add_fill(graph.get(), {}, fill_words(memory.at(), 1), context);
  const CUgraphNode kernel = add_kernel(graph.get(), {fill}, module.function("store"), memory.at(), uint32_t{1});
  add_child(graph.get(), {kernel}, child.get());
  char path[] = "/tmp/vgpu-dot-XXXXXX";
  const int file = ::mkstemp(path);
  require(file >= 0, "a file can be made");
  const Outcome outcome = CU(cuGraphDebugDotPrint, graph.get(), path, CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE);
  std::vector<char> text(1 << 16);
  const ssize_t size = ::read(file, text.data(), text.size());
  ::close(file);
  std::remove(path);
  expect_ok(outcome);
  require(size > 0, "something is written");
  const std::string drawn(text.data(), static_cast<size_t>(size));
  require(drawn.find("digraph") != std::string::npos, "it is a drawing");
  require(drawn.find("->") != std::string::npos, "it has edges");
  require(drawn.find("store") != std::string::npos, "the kernel is named");
}
CASE(graph_drawing, errors) {
  const Context context;
  const Graph graph(new_graph());
  expect(CU(cuGraphDebugDotPrint, nullptr, "/tmp/vgpu-never", 0), CUDA_ERROR_INVALID_VALUE);
  expect(CU(cuGraphDebugDotPrint, graph.get(), nullptr, 0), CUDA_ERROR_INVALID_VALUE);
  expect_one_of(CU(cuGraphDebugDotPrint, graph.get(), "/nonexistent/vgpu", 0),
                {CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_OPERATING_SYSTEM, CUDA_ERROR_FILE_NOT_FOUND, CUDA_ERROR_UNKNOWN});
}

}  // namespace
}  // namespace conformance
