// The nodes of graphs: adding them, and the parameters that they have.
#include <algorithm>
#include <cstring>

#include "worker/sim/api/graph_entry.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::ChildParameters;
using vgpu::sim::device::EventParameters;

VGPU_SIM_EXPORT(cuGraphAddEmptyNode);
VGPU_SIM_EXPORT(cuGraphAddKernelNode);
VGPU_SIM_EXPORT(cuGraphAddKernelNode_v2);
VGPU_SIM_EXPORT(cuGraphAddMemcpyNode);
VGPU_SIM_EXPORT(cuGraphAddMemsetNode);
VGPU_SIM_EXPORT(cuGraphAddHostNode);
VGPU_SIM_EXPORT(cuGraphAddChildGraphNode);
VGPU_SIM_EXPORT(cuGraphAddEventRecordNode);
VGPU_SIM_EXPORT(cuGraphAddEventWaitNode);
VGPU_SIM_EXPORT(cuGraphAddBatchMemOpNode);
VGPU_SIM_EXPORT(cuGraphBatchMemOpNodeGetParams);
VGPU_SIM_EXPORT(cuGraphBatchMemOpNodeSetParams);
VGPU_SIM_EXPORT(cuGraphAddMemAllocNode);
VGPU_SIM_EXPORT(cuGraphAddMemFreeNode);
VGPU_SIM_EXPORT(cuGraphAddNode);
VGPU_SIM_EXPORT(cuGraphAddNode_v2);
VGPU_SIM_EXPORT(cuGraphConditionalHandleCreate);
VGPU_SIM_EXPORT(cuGraphNodeGetType);
VGPU_SIM_EXPORT(cuGraphNodeSetParams);
VGPU_SIM_EXPORT(cuGraphKernelNodeGetParams);
VGPU_SIM_EXPORT(cuGraphKernelNodeGetParams_v2);
VGPU_SIM_EXPORT(cuGraphKernelNodeSetParams);
VGPU_SIM_EXPORT(cuGraphKernelNodeSetParams_v2);
VGPU_SIM_EXPORT(cuGraphKernelNodeGetAttribute);
VGPU_SIM_EXPORT(cuGraphKernelNodeSetAttribute);
VGPU_SIM_EXPORT(cuGraphKernelNodeCopyAttributes);
VGPU_SIM_EXPORT(cuGraphMemcpyNodeGetParams);
VGPU_SIM_EXPORT(cuGraphMemcpyNodeSetParams);
VGPU_SIM_EXPORT(cuGraphMemsetNodeGetParams);
VGPU_SIM_EXPORT(cuGraphMemsetNodeSetParams);
VGPU_SIM_EXPORT(cuGraphHostNodeGetParams);
VGPU_SIM_EXPORT(cuGraphHostNodeSetParams);
VGPU_SIM_EXPORT(cuGraphEventRecordNodeGetEvent);
VGPU_SIM_EXPORT(cuGraphEventRecordNodeSetEvent);
VGPU_SIM_EXPORT(cuGraphEventWaitNodeGetEvent);
VGPU_SIM_EXPORT(cuGraphEventWaitNodeSetEvent);

namespace {

/// What a new node comes after, as the caller names it.
struct Before {
  const CUgraphNode* nodes;
  std::size_t count;
  const CUgraphEdgeData* edges = nullptr;
};

/// Whether the graph with this handle is `graph`, or inside of it.
bool is_inside(const vgpu::sim::device::Graph& graph, std::uint64_t handle) {
  return graph.handle == handle || std::any_of(graph.nodes.begin(), graph.nodes.end(), [&](const NodePtr& node) {
           const GraphPtr child = node->child();
           return child != nullptr && is_inside(*child, handle);
         });
}

/// `make` fills the task of the new node. It runs without the mutex: finding a kernel may wait for the context.
template <typename Make>
CUresult add_node(CUgraphNode* out, CUgraph handle, const Before& before, Make make) {
  if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;  // before cuInit, too (measured)
  return without_context([&] {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Task task;
    if (const CUresult result = make(task); result != CUDA_SUCCESS) return result;
    return with_graph(handle, [&](const GraphPtr& graph) {
      std::vector<NodePtr> after;
      if (const CUresult result = find_before(*graph, before.nodes, before.edges, before.count, after);
          result != CUDA_SUCCESS)
        return result;
      const auto* child = std::get_if<ChildParameters>(&task.parameters);
      if (child != nullptr && is_inside(*child->graph, graph->handle)) {
        child->graph->owned = false;
        return CUDA_ERROR_INVALID_VALUE;
      }
      const NodePtr node = graph->add(std::make_shared<const Task>(std::move(task)), std::move(after));
      Simulator::get().graph_nodes.add(node->handle, node);
      *out = as_handle<CUgraphNode>(node->handle);
      return CUDA_SUCCESS;
    });
  });
}

/// Gives a node of the type that `make` makes another task.
template <typename Make>
CUresult set_node(CUgraphNode handle, Make make) {
  return without_context([&] {
    if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Task task;
    if (const CUresult result = make(task); result != CUDA_SUCCESS) return result;
    return with_node(handle, [&](const NodePtr& node) {
      if (node->task->type != task.type) return CUDA_ERROR_INVALID_VALUE;
      node->task = std::make_shared<const Task>(std::move(task));
      return CUDA_SUCCESS;
    });
  });
}

/// The attributes of a kernel node outlive its parameters.
CUresult set_kernel(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS& parameters) {
  KernelAttributes attributes;
  const CUresult found = with_node(handle, [&](const NodePtr& node) {
    const auto* kernel = std::get_if<std::shared_ptr<const KernelParameters>>(&node->task->parameters);
    if (kernel == nullptr) return CUDA_ERROR_INVALID_VALUE;
    attributes = (*kernel)->attributes;
    return CUDA_SUCCESS;
  });
  if (found != CUDA_SUCCESS) return found;
  return set_node(handle, [&](Task& task) { return kernel_task(parameters, attributes, task); });
}

/// The parameters of one of the kinds in `Parameters`; refused if the node is of another.
template <typename Parameters, typename Body>
CUresult with_parameters(CUgraphNode handle, Body body) {
  return with_node(handle, [&](const NodePtr& node) {
    const auto* parameters = std::get_if<Parameters>(&node->task->parameters);
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : static_cast<CUresult>(body(node, *parameters));
  });
}

template <typename Parameters>
CUresult get_parameters(CUgraphNode handle, Parameters* out) {
  return with_parameters<Parameters>(handle, [&](const NodePtr&, const Parameters& parameters) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = parameters;
    return CUDA_SUCCESS;
  });
}

using KernelPtr = std::shared_ptr<const KernelParameters>;

CUDA_KERNEL_NODE_PARAMS widened(const CUDA_KERNEL_NODE_PARAMS_v1& in) {
  CUDA_KERNEL_NODE_PARAMS out{};
  static_assert(offsetof(CUDA_KERNEL_NODE_PARAMS, kern) == sizeof in);
  std::memcpy(&out, &in, sizeof in);
  return out;
}

CUresult get_event(CUgraphNode handle, NodeType type, CUevent* out) {
  return with_parameters<EventParameters>(handle, [&](const NodePtr& node, const EventParameters& parameters) {
    if (out == nullptr || node->task->type != type) return CUDA_ERROR_INVALID_VALUE;
    *out = as_handle<CUevent>(parameters.event->handle);
    return CUDA_SUCCESS;
  });
}

bool is_known_attribute(CUlaunchAttributeID id) { return id != CU_LAUNCH_ATTRIBUTE_IGNORE && id <= 16; }

/// None means the current one.
CUresult need_context(CUcontext handle) {
  if (handle == nullptr) return lacks_context() ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
  return find_context(handle) == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

}  // namespace

CUresult cuGraphAddEmptyNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count) {
  return add_node(out, graph, {after, count}, [](Task&) { return CUDA_SUCCESS; });
}
CUresult cuGraphAddKernelNode_v2(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                                 const CUDA_KERNEL_NODE_PARAMS* parameters) {
  return add_node(out, graph, {after, count}, [&](Task& task) {
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : kernel_task(*parameters, {}, task);
  });
}
CUresult cuGraphAddKernelNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                              const CUDA_KERNEL_NODE_PARAMS_v1* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUDA_KERNEL_NODE_PARAMS wide = widened(*parameters);
  return cuGraphAddKernelNode_v2(out, graph, after, count, &wide);
}
CUresult cuGraphAddMemcpyNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                              const CUDA_MEMCPY3D* parameters, CUcontext context) {
  return add_node(out, graph, {after, count}, [&](Task& task) {
    if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const CUresult result = need_context(context);
    return result != CUDA_SUCCESS ? result : copy_task(*parameters, task);
  });
}
CUresult cuGraphAddMemsetNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                              const CUDA_MEMSET_NODE_PARAMS* parameters, CUcontext context) {
  return add_node(out, graph, {after, count}, [&](Task& task) {
    if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const CUresult result = need_context(context);
    return result != CUDA_SUCCESS ? result : fill_task(*parameters, task);
  });
}
CUresult cuGraphAddHostNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                            const CUDA_HOST_NODE_PARAMS* parameters) {
  return add_node(out, graph, {after, count}, [&](Task& task) {
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : host_task(*parameters, task);
  });
}
CUresult cuGraphAddChildGraphNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                                  CUgraph child) {
  return add_node(out, graph, {after, count}, [&](Task& task) { return child_task(child, false, task); });
}
CUresult cuGraphAddEventRecordNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                                   CUevent event) {
  return add_node(out, graph, {after, count},
                  [&](Task& task) { return event_task(NodeType::record_event, event, task); });
}
CUresult cuGraphAddEventWaitNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                                 CUevent event) {
  return add_node(out, graph, {after, count},
                  [&](Task& task) { return event_task(NodeType::wait_event, event, task); });
}
CUresult cuGraphAddMemAllocNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                                CUDA_MEM_ALLOC_NODE_PARAMS* parameters) {
  return add_node(out, graph, {after, count}, [&](Task& task) {
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : allocation_task(*parameters, task);
  });
}
CUresult cuGraphAddMemFreeNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                               CUdeviceptr address) {
  return add_node(out, graph, {after, count}, [&](Task& task) { return free_task(address, task); });
}
CUresult cuGraphAddBatchMemOpNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                                  const CUDA_BATCH_MEM_OP_NODE_PARAMS* parameters) {
  return add_node(out, graph, {after, count}, [&](Task& task) {
    if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const CUresult result = need_context(parameters->ctx);
    return result != CUDA_SUCCESS ? result : batch_task(*parameters, task);
  });
}
CUresult cuGraphBatchMemOpNodeGetParams(CUgraphNode node, CUDA_BATCH_MEM_OP_NODE_PARAMS* out) {
  using Pointer = std::shared_ptr<const vgpu::sim::device::BatchParameters>;
  return with_parameters<Pointer>(node, [&](const NodePtr&, const Pointer& parameters) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = parameters->given;
    return CUDA_SUCCESS;
  });
}
CUresult cuGraphBatchMemOpNodeSetParams(CUgraphNode node, const CUDA_BATCH_MEM_OP_NODE_PARAMS* parameters) {
  return set_node(node, [&](Task& task) {
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : batch_task(*parameters, task);
  });
}
CUresult cuGraphAddNode_v2(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, const CUgraphEdgeData* edges,
                           std::size_t count, CUgraphNodeParams* parameters) {
  return add_node(out, graph, {after, count, edges}, [&](Task& task) {
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : task_of(*parameters, task);
  });
}
CUresult cuGraphAddNode(CUgraphNode* out, CUgraph graph, const CUgraphNode* after, std::size_t count,
                        CUgraphNodeParams* parameters) {
  return cuGraphAddNode_v2(out, graph, after, nullptr, count, parameters);
}
// Kernels set conditions with a function of the device runtime, which does not exist here.
CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle*, CUgraph, CUcontext, unsigned, unsigned) {
  return without_context([] { return CUDA_ERROR_NOT_SUPPORTED; });
}

CUresult cuGraphNodeGetType(CUgraphNode handle, CUgraphNodeType* type) {
  return with_node(handle, [&](const NodePtr& node) {
    if (type == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *type = static_cast<CUgraphNodeType>(node->task->type);
    return CUDA_SUCCESS;
  });
}
CUresult cuGraphNodeSetParams(CUgraphNode handle, CUgraphNodeParams* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (parameters->type == CU_GRAPH_NODE_TYPE_KERNEL) return set_kernel(handle, parameters->kernel);
  return set_node(handle, [&](Task& task) { return task_of(*parameters, task); });
}

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS* out) {
  return with_parameters<KernelPtr>(handle, [&](const NodePtr&, const KernelPtr& kernel) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = kernel->given;
    return CUDA_SUCCESS;
  });
}
CUresult cuGraphKernelNodeGetParams(CUgraphNode handle, CUDA_KERNEL_NODE_PARAMS_v1* out) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUDA_KERNEL_NODE_PARAMS wide{};
  const CUresult result = cuGraphKernelNodeGetParams_v2(handle, &wide);
  if (result == CUDA_SUCCESS) std::memcpy(out, &wide, sizeof *out);
  return result;
}
CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS* parameters) {
  return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : set_kernel(handle, *parameters);
}
CUresult cuGraphKernelNodeSetParams(CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS_v1* parameters) {
  return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : set_kernel(handle, widened(*parameters));
}

CUresult cuGraphKernelNodeGetAttribute(CUgraphNode handle, CUkernelNodeAttrID id, CUkernelNodeAttrValue* out) {
  return with_parameters<KernelPtr>(handle, [&](const NodePtr&, const KernelPtr& kernel) {
    if (out == nullptr || !is_known_attribute(id)) return CUDA_ERROR_INVALID_VALUE;
    const auto found = kernel->attributes.find(id);
    *out = found == kernel->attributes.end() ? CUkernelNodeAttrValue{} : found->second;
    return CUDA_SUCCESS;
  });
}
CUresult cuGraphKernelNodeSetAttribute(CUgraphNode handle, CUkernelNodeAttrID id, const CUkernelNodeAttrValue* value) {
  return with_parameters<KernelPtr>(handle, [&](const NodePtr& node, const KernelPtr& kernel) {
    if (value == nullptr || !is_known_attribute(id)) return CUDA_ERROR_INVALID_VALUE;
    KernelAttributes attributes = kernel->attributes;
    attributes[id] = *value;
    node->task = std::make_shared<const Task>(with_attributes(*kernel, std::move(attributes)));
    return CUDA_SUCCESS;
  });
}
CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode to, CUgraphNode from) {
  KernelAttributes attributes;
  const CUresult found = with_parameters<KernelPtr>(from, [&](const NodePtr&, const KernelPtr& kernel) {
    attributes = kernel->attributes;
    return CUDA_SUCCESS;
  });
  if (found != CUDA_SUCCESS) return found;
  return with_parameters<KernelPtr>(to, [&](const NodePtr& node, const KernelPtr& kernel) {
    node->task = std::make_shared<const Task>(with_attributes(*kernel, attributes));
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D* out) { return get_parameters(node, out); }
CUresult cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D* parameters) {
  return set_node(node, [&](Task& task) {
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : copy_task(*parameters, task);
  });
}
CUresult cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS* out) {
  return get_parameters(node, out);
}
CUresult cuGraphMemsetNodeSetParams(CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS* parameters) {
  return set_node(node, [&](Task& task) {
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : fill_task(*parameters, task);
  });
}
CUresult cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS* out) { return get_parameters(node, out); }
CUresult cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS* parameters) {
  return set_node(node, [&](Task& task) {
    return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : host_task(*parameters, task);
  });
}
CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode node, CUevent* out) {
  return get_event(node, NodeType::record_event, out);
}
CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode node, CUevent event) {
  return set_node(node, [&](Task& task) { return event_task(NodeType::record_event, event, task); });
}
CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode node, CUevent* out) {
  return get_event(node, NodeType::wait_event, out);
}
CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode node, CUevent event) {
  return set_node(node, [&](Task& task) { return event_task(NodeType::wait_event, event, task); });
}
