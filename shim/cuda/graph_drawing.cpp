// cuGraphDebugDotPrint: a graph as text that graphviz draws. It is written here, by the program's own rights, from what
// any program can ask about a graph.
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "shim/client/functions.hpp"
#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

constexpr const char* kTypeNames[] = {"KERNEL",    "MEMCPY",     "MEMSET",       "HOST",       "GRAPH",
                                      "EMPTY",     "WAIT EVENT", "EVENT RECORD", "EXT SIGNAL", "EXT WAIT",
                                      "MEM ALLOC", "MEM FREE",   "BATCH OP",     "CONDITIONAL"};

[[gnu::format(printf, 2, 3)]] void print(std::string& text, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text += line;
}

/// What may stand between quotes.
std::string quoted(const std::string& name) {
  std::string out;
  for (const char one : name) {
    if (one == '"' || one == '\\') out += '\\';
    out += one;
  }
  return out;
}

void tell_kernel(CUgraphNode node, bool with_parameters, std::string& text) {
  CUDA_KERNEL_NODE_PARAMS kernel{};
  if (cuGraphKernelNodeGetParams_v2(node, &kernel) != CUDA_SUCCESS) return;
  const FunctionInfo* info = kernel.func != nullptr ? functions::find(kernel.func) : functions::find(kernel.kern);
  if (info != nullptr) text += "\\n" + quoted(info->name);
  if (!with_parameters) return;
  print(text, "\\ngrid %u %u %u, block %u %u %u, shared %u", kernel.gridDimX, kernel.gridDimY, kernel.gridDimZ,
        kernel.blockDimX, kernel.blockDimY, kernel.blockDimZ, kernel.sharedMemBytes);
}

void tell_copy(CUgraphNode node, std::string& text) {
  CUDA_MEMCPY3D copy{};
  if (cuGraphMemcpyNodeGetParams(node, &copy) != CUDA_SUCCESS) return;
  const auto side = [&](const char* name, CUmemorytype type, const void* host, CUdeviceptr device, size_t pitch) {
    const bool on_host = type == CU_MEMORYTYPE_HOST;
    print(text, "\\n%s %s 0x%" PRIx64 ", pitch %zu", name, on_host ? "host" : "device",
          on_host ? reinterpret_cast<uint64_t>(host) : uint64_t{device}, pitch);
  };
  side("from", copy.srcMemoryType, copy.srcHost, copy.srcDevice, copy.srcPitch);
  side("to", copy.dstMemoryType, copy.dstHost, copy.dstDevice, copy.dstPitch);
  print(text, "\\nwidth %zu, height %zu, depth %zu", copy.WidthInBytes, copy.Height, copy.Depth);
}

void tell_fill(CUgraphNode node, std::string& text) {
  CUDA_MEMSET_NODE_PARAMS fill{};
  if (cuGraphMemsetNodeGetParams(node, &fill) == CUDA_SUCCESS)
    print(text, "\\nto 0x%" PRIx64 ", pitch %zu\\nvalue %u of %u bytes, width %zu, height %zu", uint64_t{fill.dst},
          fill.pitch, fill.value, fill.elementSize, fill.width, fill.height);
}

void tell_host(CUgraphNode node, std::string& text) {
  CUDA_HOST_NODE_PARAMS host{};
  if (cuGraphHostNodeGetParams(node, &host) == CUDA_SUCCESS)
    print(text, "\\nfunction %p, data %p", reinterpret_cast<void*>(host.fn), host.userData);
}

void tell_event(CUgraphNode node, bool is_record, std::string& text) {
  CUevent event = nullptr;
  if ((is_record ? cuGraphEventRecordNodeGetEvent(node, &event) : cuGraphEventWaitNodeGetEvent(node, &event)) ==
      CUDA_SUCCESS)
    print(text, "\\nevent %p", reinterpret_cast<void*>(event));
}

void tell_allocation(CUgraphNode node, std::string& text) {
  CUDA_MEM_ALLOC_NODE_PARAMS allocation{};
  if (cuGraphMemAllocNodeGetParams(node, &allocation) == CUDA_SUCCESS)
    print(text, "\\nat 0x%" PRIx64 ", %zu bytes, device %d", uint64_t{allocation.dptr}, allocation.bytesize,
          allocation.poolProps.location.id);
}

void tell_free(CUgraphNode node, std::string& text) {
  CUdeviceptr address = 0;
  if (cuGraphMemFreeNodeGetParams(node, &address) == CUDA_SUCCESS) print(text, "\\nat 0x%" PRIx64, uint64_t{address});
}

/// The parameters that the flags ask for.
void tell_parameters(CUgraphNode node, CUgraphNodeType type, unsigned flags, std::string& text) {
  const auto asked = [flags](unsigned flag) { return (flags & (flag | CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE)) != 0; };
  if (type == CU_GRAPH_NODE_TYPE_KERNEL) tell_kernel(node, asked(CU_GRAPH_DEBUG_DOT_FLAGS_KERNEL_NODE_PARAMS), text);
  if (type == CU_GRAPH_NODE_TYPE_MEMCPY && asked(CU_GRAPH_DEBUG_DOT_FLAGS_MEMCPY_NODE_PARAMS)) tell_copy(node, text);
  if (type == CU_GRAPH_NODE_TYPE_MEMSET && asked(CU_GRAPH_DEBUG_DOT_FLAGS_MEMSET_NODE_PARAMS)) tell_fill(node, text);
  if (type == CU_GRAPH_NODE_TYPE_HOST && asked(CU_GRAPH_DEBUG_DOT_FLAGS_HOST_NODE_PARAMS)) tell_host(node, text);
  const bool is_record = type == CU_GRAPH_NODE_TYPE_EVENT_RECORD;
  if ((is_record || type == CU_GRAPH_NODE_TYPE_WAIT_EVENT) && asked(CU_GRAPH_DEBUG_DOT_FLAGS_EVENT_NODE_PARAMS))
    tell_event(node, is_record, text);
  if (type == CU_GRAPH_NODE_TYPE_MEM_ALLOC && asked(CU_GRAPH_DEBUG_DOT_FLAGS_MEM_ALLOC_NODE_PARAMS))
    tell_allocation(node, text);
  if (type == CU_GRAPH_NODE_TYPE_MEM_FREE && asked(CU_GRAPH_DEBUG_DOT_FLAGS_MEM_FREE_NODE_PARAMS))
    tell_free(node, text);
}

CUresult list_nodes(CUgraph graph, std::vector<CUgraphNode>& nodes) {
  size_t count = 0;
  CUresult result = cuGraphGetNodes(graph, nullptr, &count);
  nodes.resize(count);
  if (result == CUDA_SUCCESS && count != 0) result = cuGraphGetNodes(graph, nodes.data(), &count);
  nodes.resize(count);
  return result;
}

CUresult draw_edges(CUgraph graph, std::string& text) {
  size_t count = 0;
  CUresult result = cuGraphGetEdges_v2(graph, nullptr, nullptr, nullptr, &count);
  std::vector<CUgraphNode> from(count), to(count);
  std::vector<CUgraphEdgeData> data(count);
  if (result == CUDA_SUCCESS && count != 0)
    result = cuGraphGetEdges_v2(graph, from.data(), to.data(), data.data(), &count);
  for (size_t i = 0; result == CUDA_SUCCESS && i < count; ++i)
    print(text, "  \"%p\" -> \"%p\";\n", reinterpret_cast<void*>(from[i]), reinterpret_cast<void*>(to[i]));
  return result;
}

/// A graph inside of a node is drawn as a cluster of its own, named after the node.
CUresult draw(CUgraph graph, CUgraphNode holder, unsigned flags, std::string& text) {
  std::vector<CUgraphNode> nodes;
  if (const CUresult result = list_nodes(graph, nodes); result != CUDA_SUCCESS) return result;
  print(text, "subgraph \"cluster_%p\" {\n  label=\"graph %p\";\n", reinterpret_cast<void*>(holder),
        reinterpret_cast<void*>(graph));
  std::vector<std::pair<CUgraph, CUgraphNode>> inside;
  for (size_t i = 0; i < nodes.size(); ++i) {
    CUgraphNodeType type = 0;
    if (const CUresult result = cuGraphNodeGetType(nodes[i], &type); result != CUDA_SUCCESS) return result;
    print(text, "  \"%p\" [shape=box, label=\"%zu\\n%s", reinterpret_cast<void*>(nodes[i]), i,
          type < std::size(kTypeNames) ? kTypeNames[type] : "?");
    tell_parameters(nodes[i], type, flags, text);
    if ((flags & (CU_GRAPH_DEBUG_DOT_FLAGS_HANDLES | CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE)) != 0)
      print(text, "\\nnode %p", reinterpret_cast<void*>(nodes[i]));
    text += "\"];\n";
    CUgraph child = nullptr;
    if (type == CU_GRAPH_NODE_TYPE_GRAPH && cuGraphChildGraphNodeGetGraph(nodes[i], &child) == CUDA_SUCCESS)
      inside.emplace_back(child, nodes[i]);
  }
  CUresult result = draw_edges(graph, text);
  text += "}\n";
  for (size_t i = 0; result == CUDA_SUCCESS && i < inside.size(); ++i)
    result = draw(inside[i].first, inside[i].second, flags, text);
  return result;
}

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

CUresult cuGraphDebugDotPrint(CUgraph hGraph, const char* path, unsigned flags) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  if (hGraph == nullptr || path == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::string text = "digraph dot {\n";
  if (const CUresult result = draw(hGraph, nullptr, flags, text); result != CUDA_SUCCESS) return result;
  text += "}\n";
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path, "we"));
  if (file == nullptr) return CUDA_ERROR_OPERATING_SYSTEM;
  const bool written = std::fwrite(text.data(), 1, text.size(), file.get()) == text.size();
  return written && std::fflush(file.get()) == 0 ? CUDA_SUCCESS : CUDA_ERROR_OPERATING_SYSTEM;
}

}  // namespace vgpu::shim::calls
