// Executable graphs: making, launching and changing them.
#include <cstring>

#include "worker/sim/api/graph_entry.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::ChildParameters;
using vgpu::sim::device::GraphExec;
using vgpu::sim::device::GraphLaunch;
using vgpu::sim::device::GraphPlan;
using vgpu::sim::device::UpdateProblem;
using vgpu::sim::device::UpdateResult;

VGPU_SIM_EXPORT(cuGraphInstantiate);
VGPU_SIM_EXPORT(cuGraphInstantiate_v2);
VGPU_SIM_EXPORT(cuGraphInstantiateWithFlags);
VGPU_SIM_EXPORT(cuGraphInstantiateWithParams);
VGPU_SIM_EXPORT(cuGraphExecDestroy);
VGPU_SIM_EXPORT(cuGraphExecGetFlags);
VGPU_SIM_EXPORT(cuGraphLaunch);
VGPU_SIM_EXPORT(cuGraphUpload);
VGPU_SIM_EXPORT(cuGraphExecKernelNodeSetParams);
VGPU_SIM_EXPORT(cuGraphExecKernelNodeSetParams_v2);
VGPU_SIM_EXPORT(cuGraphExecMemcpyNodeSetParams);
VGPU_SIM_EXPORT(cuGraphExecMemsetNodeSetParams);
VGPU_SIM_EXPORT(cuGraphExecBatchMemOpNodeSetParams);
VGPU_SIM_EXPORT(cuGraphExecHostNodeSetParams);
VGPU_SIM_EXPORT(cuGraphExecChildGraphNodeSetParams);
VGPU_SIM_EXPORT(cuGraphExecEventRecordNodeSetEvent);
VGPU_SIM_EXPORT(cuGraphExecEventWaitNodeSetEvent);
VGPU_SIM_EXPORT(cuGraphExecNodeSetParams);
VGPU_SIM_EXPORT(cuGraphExecUpdate);
VGPU_SIM_EXPORT(cuGraphExecUpdate_v2);
VGPU_SIM_EXPORT(cuGraphNodeSetEnabled);
VGPU_SIM_EXPORT(cuGraphNodeGetEnabled);

namespace {

// Flags of an instantiation.
constexpr unsigned long long auto_free = 1, upload = 2, use_node_priority = 8;
/// A result of an instantiation: the nodes wait for one another in a ring.
constexpr unsigned invalid_structure = 2;

/// Only one executable graph at a time may allocate at a graph's addresses.
bool is_instantiated(const vgpu::sim::device::Graph& graph) {
  bool found = false;
  Simulator::get().graph_execs.for_each(
      [&](const GraphExec& exec) { found = found || exec.made_from == graph.handle; });
  return found;
}

CUresult instantiate(CUgraphExec* out, CUgraph handle, unsigned long long flags, unsigned* why = nullptr) {
  return with_context([&](const ContextPtr& context) {
    if (out == nullptr || (flags & ~(auto_free | upload | use_node_priority)) != 0) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    Simulator& sim = Simulator::get();
    const std::shared_lock gate(sim.gate);
    const std::lock_guard allocations(sim.allocation_gate);
    return with_graph(handle, [&](const GraphPtr& graph) {
      if (graph->capturing || (graph->uses_memory() && is_instantiated(*graph))) return CUDA_ERROR_INVALID_VALUE;
      auto exec = std::make_shared<GraphExec>(*graph, flags & ~upload);
      if (exec->plan() == nullptr) {
        if (why != nullptr) *why = invalid_structure;
        return CUDA_ERROR_INVALID_VALUE;
      }
      sim.graph_execs.add(exec->handle, exec);
      *out = as_handle<CUgraphExec>(exec->handle);
      return CUDA_SUCCESS;
    });
  });
}

std::uint64_t next_seed() {
  static std::atomic<std::uint64_t> launches{1};
  const std::uint64_t seed = Simulator::get().settings().seed;
  return seed == 0 ? 0 : seed + launches.fetch_add(1);
}

/// Into the graph under capture: a node with all of it inside.
CUresult capture_launch(const StreamPtr& stream, const GraphExec& exec) {
  GraphPtr copy;
  {
    const std::lock_guard lock(Simulator::get().capture_mutex);
    if (exec.uses_memory()) return CUDA_ERROR_NOT_SUPPORTED;
    copy = exec.copy();
    copy->owned = true;
  }
  return enqueue(stream, {.task = {NodeType::graph, {}, ChildParameters{std::move(copy)}}});
}

/// What the launch leaves allocated. Refused if that is so already, unless it is to be freed by itself.
CUresult note_memory(const GraphPlan& plan, bool frees_by_itself) {
  using Allocation = std::shared_ptr<const vgpu::sim::device::AllocationParameters>;
  auto& memory = Simulator::get().graph_memory;
  const auto for_each = [&](auto visit) {
    for (const auto& step : plan.steps())
      if (step.task != nullptr) visit(step.task->parameters);
  };
  bool refused = false;
  for_each([&](const auto& parameters) {
    const auto* allocation = std::get_if<Allocation>(&parameters);
    refused = refused || (allocation != nullptr && memory.is_outstanding((*allocation)->given.dptr));
  });
  if (refused && !frees_by_itself) return CUDA_ERROR_INVALID_VALUE;
  for_each([&](const auto& parameters) {
    if (const auto* one = std::get_if<Allocation>(&parameters)) memory.set_outstanding((*one)->given.dptr, true);
  });
  for_each([&](const auto& parameters) {
    if (const auto* one = std::get_if<vgpu::sim::device::FreeParameters>(&parameters))
      memory.set_outstanding(one->address, false);
  });
  return CUDA_SUCCESS;
}

CUresult launch(const StreamPtr& stream, GraphExec& exec) {
  std::shared_ptr<const GraphPlan> plan;
  {
    const std::lock_guard lock(Simulator::get().capture_mutex);
    plan = exec.plan();
  }
  if (const CUresult result = note_memory(*plan, (exec.flags & auto_free) != 0); result != CUDA_SUCCESS) return result;
  const auto run = std::make_shared<GraphLaunch>(std::move(plan), next_seed());
  const CUresult result =
      enqueue(stream, {.task = {.work = [run](Context& context) { run->run(context); }}, .inner = run->marks()});
  if (result == CUDA_SUCCESS) return result;
  // Events must not stand for what never comes.
  Context& context = *stream->context();
  const std::lock_guard lock(context.mutex);
  for (const auto& mark : run->marks()) mark->set();
  context.changed.notify_all();
  return result;
}

CUresult result_of(UpdateProblem problem) {
  return problem == UpdateProblem::none ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/// Single nodes can be changed in fewer ways than whole graphs.
bool is_plain(const Task& task) {
  if (const auto* copy = std::get_if<CUDA_MEMCPY3D>(&task.parameters))
    return copy->WidthInBytes != 0 && copy->Height == 1 && copy->Depth == 1;
  if (const auto* fill = std::get_if<CUDA_MEMSET_NODE_PARAMS>(&task.parameters))
    return fill->width != 0 && fill->height != 0;
  return true;
}

/// `make` fills the node's new task. It runs without the mutex: finding a kernel may wait for the context.
template <typename Make>
CUresult set_node(CUgraphExec exec_handle, CUgraphNode handle, Make make) {
  return without_context([&] {
    if (exec_handle == nullptr || handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
    Task task;
    if (const CUresult result = make(task); result != CUDA_SUCCESS) return result;
    return with_exec_node(exec_handle, handle, [&](const ExecPtr& exec, const NodePtr& node) {
      if (!is_plain(task) || (task.type == NodeType::copy && !is_plain(*node->task))) return CUDA_ERROR_INVALID_VALUE;
      return result_of(exec->set_task(node, std::make_shared<const Task>(std::move(task))));
    });
  });
}

/// The attributes of the kernel stay.
CUresult set_kernel(CUgraphExec exec_handle, CUgraphNode handle, const CUDA_KERNEL_NODE_PARAMS& parameters) {
  KernelAttributes attributes;
  const CUresult found = with_exec_node(exec_handle, handle, [&](const ExecPtr&, const NodePtr& node) {
    const auto* kernel = std::get_if<std::shared_ptr<const KernelParameters>>(&node->task->parameters);
    if (kernel == nullptr) return CUDA_ERROR_INVALID_VALUE;
    attributes = (*kernel)->attributes;
    return CUDA_SUCCESS;
  });
  if (found != CUDA_SUCCESS) return found;
  return set_node(exec_handle, handle, [&](Task& task) { return kernel_task(parameters, attributes, task); });
}

CUresult set_child(CUgraphExec exec_handle, CUgraphNode handle, CUgraph child) {
  const GraphPtr graph = Simulator::get().graphs.find(child);
  if (graph == nullptr) return bad_handle(child);
  return with_exec_node(exec_handle, handle, [&](const ExecPtr& exec, const NodePtr& node) {
    if (node->child() == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return result_of(exec->update(*graph, node).problem);
  });
}

/// Of the nodes that do work on the device, and only of those, is it known whether they are enabled.
template <typename Body>
CUresult with_switch(CUgraphExec exec_handle, CUgraphNode handle, Body body) {
  return with_exec_node(exec_handle, handle, [&](const ExecPtr& exec, const NodePtr& node) {
    const bool has_one = node->task->type <= NodeType::set;
    return has_one ? static_cast<CUresult>(body(exec, node)) : CUDA_ERROR_INVALID_VALUE;
  });
}

CUresult update(CUgraphExec exec_handle, CUgraph handle, CUgraphExecUpdateResultInfo& info) {
  info = {CU_GRAPH_EXEC_UPDATE_ERROR, nullptr, nullptr};
  return with_graph(handle, [&](const GraphPtr& graph) {
    const ExecPtr exec = Simulator::get().graph_execs.find(exec_handle);
    if (exec == nullptr) return bad_handle(exec_handle);
    const auto handle_of = [](const NodePtr& node) {
      return node == nullptr ? nullptr : as_handle<CUgraphNode>(node->handle);
    };
    const UpdateResult result = exec->update(*graph);
    info = {static_cast<CUgraphExecUpdateResult>(result.problem), handle_of(result.node), handle_of(result.from)};
    return result.problem == UpdateProblem::none ? CUDA_SUCCESS : CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
  });
}

}  // namespace

CUresult cuGraphInstantiateWithFlags(CUgraphExec* out, CUgraph graph, unsigned long long flags) {
  return instantiate(out, graph, flags);
}
CUresult cuGraphInstantiate(CUgraphExec* out, CUgraph graph, CUgraphNode* error_node, char* log, std::size_t log_size) {
  if (error_node != nullptr) *error_node = nullptr;
  if (log != nullptr && log_size > 0) *log = '\0';
  return instantiate(out, graph, 0);
}
CUresult cuGraphInstantiate_v2(CUgraphExec* out, CUgraph graph, CUgraphNode* error_node, char* log,
                               std::size_t log_size) {
  return cuGraphInstantiate(out, graph, error_node, log, log_size);
}
CUresult cuGraphInstantiateWithParams(CUgraphExec* out, CUgraph graph, CUDA_GRAPH_INSTANTIATE_PARAMS* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  unsigned why = 1;
  const CUresult result = instantiate(out, graph, parameters->flags, &why);
  parameters->hErrNode_out = nullptr;
  parameters->result_out = result == CUDA_SUCCESS ? 0 : why;
  return result;
}

CUresult cuGraphExecDestroy(CUgraphExec handle) {
  return with_context([&](const ContextPtr& context) {
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    // A launch in flight keeps what it runs.
    return Simulator::get().graph_execs.take(handle) != nullptr ? CUDA_SUCCESS : bad_handle(handle);
  });
}
CUresult cuGraphExecGetFlags(CUgraphExec handle, cuuint64_t* out) {
  return without_context([&] {
    const ExecPtr exec = Simulator::get().graph_execs.find(handle);
    if (exec == nullptr) return bad_handle(handle);
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = exec->flags & ~use_node_priority;  // it is not told (measured)
    return CUDA_SUCCESS;
  });
}

CUresult cuGraphLaunch(CUgraphExec handle, CUstream stream_handle) {
  return with_stream(stream_handle, [&](const StreamPtr& stream) {
    const ExecPtr exec = Simulator::get().graph_execs.find(handle);
    if (exec == nullptr) return bad_handle(handle);
    return is_capturing(*stream) ? capture_launch(stream, *exec) : launch(stream, *exec);
  });
}
CUresult cuGraphUpload(CUgraphExec handle, CUstream stream) {
  return with_stream(stream, [&](const StreamPtr&) {
    return Simulator::get().graph_execs.find(handle) != nullptr ? CUDA_SUCCESS : bad_handle(handle);
  });
}

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec exec, CUgraphNode node,
                                           const CUDA_KERNEL_NODE_PARAMS* parameters) {
  return parameters == nullptr ? CUDA_ERROR_INVALID_VALUE : set_kernel(exec, node, *parameters);
}
CUresult cuGraphExecKernelNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                        const CUDA_KERNEL_NODE_PARAMS_v1* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUDA_KERNEL_NODE_PARAMS wide{};
  std::memcpy(&wide, parameters, sizeof *parameters);
  return set_kernel(exec, node, wide);
}
CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D* parameters,
                                        CUcontext context) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_node(exec, node, [&](Task& task) {
    return context != nullptr && find_context(context) == nullptr ? CUDA_ERROR_INVALID_CONTEXT
                                                                  : copy_task(*parameters, task);
  });
}
CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS* parameters,
                                        CUcontext context) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_node(exec, node, [&](Task& task) {
    return context != nullptr && find_context(context) == nullptr ? CUDA_ERROR_INVALID_CONTEXT
                                                                  : fill_task(*parameters, task);
  });
}
CUresult cuGraphExecBatchMemOpNodeSetParams(CUgraphExec exec, CUgraphNode node,
                                            const CUDA_BATCH_MEM_OP_NODE_PARAMS* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_node(exec, node, [&](Task& task) { return batch_task(*parameters, task); });
}
CUresult cuGraphExecHostNodeSetParams(CUgraphExec exec, CUgraphNode node, const CUDA_HOST_NODE_PARAMS* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_node(exec, node, [&](Task& task) { return host_task(*parameters, task); });
}
CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraph child) {
  return without_context([&] { return set_child(exec, node, child); });
}
CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event) {
  return set_node(exec, node, [&](Task& task) { return event_task(NodeType::record_event, event, task); });
}
CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec exec, CUgraphNode node, CUevent event) {
  return set_node(exec, node, [&](Task& task) { return event_task(NodeType::wait_event, event, task); });
}
CUresult cuGraphExecNodeSetParams(CUgraphExec exec, CUgraphNode node, CUgraphNodeParams* parameters) {
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (parameters->type == CU_GRAPH_NODE_TYPE_KERNEL) return set_kernel(exec, node, parameters->kernel);
  if (parameters->type == CU_GRAPH_NODE_TYPE_GRAPH)
    return cuGraphExecChildGraphNodeSetParams(exec, node, parameters->graph.graph);
  return set_node(exec, node, [&](Task& task) { return task_of(*parameters, task); });
}

CUresult cuGraphExecUpdate_v2(CUgraphExec exec, CUgraph graph, CUgraphExecUpdateResultInfo* info) {
  return info == nullptr ? CUDA_ERROR_INVALID_VALUE : update(exec, graph, *info);
}
CUresult cuGraphExecUpdate(CUgraphExec exec, CUgraph graph, CUgraphNode* error_node, CUgraphExecUpdateResult* out) {
  CUgraphExecUpdateResultInfo info{};
  const CUresult result = update(exec, graph, info);
  if (error_node != nullptr) *error_node = info.errorNode;
  if (out != nullptr) *out = info.result;
  return result;
}

CUresult cuGraphNodeSetEnabled(CUgraphExec exec_handle, CUgraphNode handle, unsigned enabled) {
  return with_switch(exec_handle, handle, [&](const ExecPtr& exec, const NodePtr& node) {
    exec->set_enabled(node, enabled != 0);
    return CUDA_SUCCESS;
  });
}
CUresult cuGraphNodeGetEnabled(CUgraphExec exec_handle, CUgraphNode handle, unsigned* out) {
  return with_switch(exec_handle, handle, [&](const ExecPtr&, const NodePtr& node) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = node->enabled ? 1 : 0;
    return CUDA_SUCCESS;
  });
}
