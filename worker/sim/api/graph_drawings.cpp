// A graph as text that graphviz draws: nodes by type, kernels by name.
#include <cstdio>
#include <string>

#include "worker/sim/api/graph_entry.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::Graph;
using vgpu::sim::device::KernelParameters;

VGPU_SIM_EXPORT(cuGraphDebugDotPrint);

namespace {

std::string label_of(const GraphNode& node) {
  std::string label = "type " + std::to_string(static_cast<unsigned>(node.task->type));
  const auto* kernel = std::get_if<std::shared_ptr<const KernelParameters>>(&node.task->parameters);
  if (kernel == nullptr) return label;
  const auto& launch = (*kernel)->launch;
  return label + "\\n" + launch.program->module->functions[launch.function].name;
}

void draw(const Graph& graph, std::string& text) {
  text += "subgraph cluster_" + std::to_string(graph.handle) + " {\n";
  for (const NodePtr& node : graph.nodes)
    text += "  " + std::to_string(node->handle) + " [label=\"" + label_of(*node) + "\"];\n";
  for (const NodePtr& node : graph.nodes)
    for (const NodePtr& before : node->after)
      text += "  " + std::to_string(before->handle) + " -> " + std::to_string(node->handle) + ";\n";
  text += "}\n";
  for (const NodePtr& node : graph.nodes)
    if (const GraphPtr child = node->child()) draw(*child, text);
}

}  // namespace

CUresult cuGraphDebugDotPrint(CUgraph handle, const char* path, unsigned) {
  std::string text = "digraph dot {\n";
  const CUresult result = with_graph(handle, [&](const GraphPtr& graph) {
    if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
    draw(*graph, text);
    return CUDA_SUCCESS;
  });
  if (result != CUDA_SUCCESS) return result;
  text += "}\n";
  std::FILE* const file = std::fopen(path, "we");
  if (file == nullptr) return CUDA_ERROR_OPERATING_SYSTEM;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return std::fclose(file) == 0 && written ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}
