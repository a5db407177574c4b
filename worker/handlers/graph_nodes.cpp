// Nodes of graphs: made, changed, looked at. What a node refers to is the client's own, or it is refused.
#include <cstring>

#include "worker/handlers/copy_steps.hpp"
#include "worker/handlers/graph_memory.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/node_lists.hpp"
#include "worker/handlers/node_sheets.hpp"

namespace vgpu::worker::handlers {
namespace {

/// Nodes that come with a node.
uint64_t count_of(const NodeSheet& sheet) {
  if (sheet.copy_step() != nullptr) return 3;
  return 1 + (sheet.child() == nullptr ? 0 : sheet.child()->count);
}

/// Whether the graph may hold what the node brings with it.
bool has_room(Session& session, const Graph& graph, const NodeSheet& sheet) {
  const uint64_t more = count_of(sheet);
  if (sheet.child() != nullptr && graph.inside + sheet.child()->depth >= kDeepestGraph) return false;
  if (!sheet.body_handles().empty() && graph.inside >= kDeepestGraph) return false;
  return more <= kMostNodesOfGraph - std::min(graph.count, kMostNodesOfGraph) &&
         more <= kMostNodes - session.objects().node_count;
}

/// The graphs of a conditional node are the driver's, and live as long as the node's graph.
void bind_bodies(Session& session, NodeSheet& sheet, uint64_t graph, uint64_t node, unsigned inside) {
  const auto& handles = sheet.body_handles();
  CUgraph* const made = sheet.params().conditional.phGraph_out;
  for (size_t i = 0; i < handles.size() && made != nullptr; ++i) {
    Graph body{made[i]};
    body.owner = graph;
    body.holder = node;
    body.inside = inside + 1;
    session.objects().graphs.bind(handles[i], body);
  }
}

bool is_inside(Objects& objects, uint64_t graph, uint64_t other) {
  for (const Graph* next = nullptr; graph != other; graph = next->owner) {
    next = objects.graphs.find(graph);
    if (next == nullptr || next->owner == 0) return false;
  }
  return true;
}

/// A graph inside of another counts as one more level to all that hold it.
void note_depth(Objects& objects, uint64_t graph, unsigned depth) {
  for (Graph* next = objects.graphs.find(graph); next != nullptr; next = objects.graphs.find(next->owner)) {
    next->depth = std::max(next->depth, ++depth);
    if (next->owner == 0) return;
  }
}

/// The graph is the node's from now on. It keeps its handle, and counts its own nodes.
void move_inside(Objects& objects, uint64_t moved, uint64_t graph, uint64_t node) {
  Graph* child = objects.graphs.find(moved);
  child->owner = graph;
  child->holder = node;
  const unsigned more = objects.graphs.find(graph)->inside + 1;
  objects.graphs.for_each([&](uint64_t handle, const Graph&) {
    if (is_inside(objects, handle, moved)) objects.graphs.find(handle)->inside += more;
  });
}

CUresult add_node(Session& session, CUgraph graph, NodeList& after, NodeSheet& sheet, CUgraphNode& node) {
  if (sheet.copy_step() != nullptr) return add_copy_nodes(session, graph, after, sheet, node);
  return session.driver().cuGraphAddNode_v2(&node, graph, after.nodes(), after.edges(), after.size(), &sheet.params());
}

}  // namespace

void graph_add_node(Session& session, const api::ops::GraphAddNode& op, Call& call) {
  Objects& objects = session.objects();
  Graph* graph = objects.graphs.find(op.id.value);
  if (session.driver().cuGraphAddNode_v2 == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  NodeList after;
  NodeSheet sheet;
  CUresult result = after.read(session, op.after);
  if (result == CUDA_SUCCESS) result = sheet.read(session, op.type, op.sheet);
  if (result != CUDA_SUCCESS) return call.finish(result);
  if (sheet.moved() != 0 && is_inside(objects, op.id.value, sheet.moved()))
    return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (!has_room(session, *graph, sheet)) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  CUgraphNode node = nullptr;
  result = add_node(session, graph->real, after, sheet, node);
  if (result != CUDA_SUCCESS) return call.finish(result);
  const uint64_t more = sheet.moved() != 0 ? 1 : count_of(sheet);
  sheet.keep();
  graph->count += more;
  objects.node_count += more;
  const uint64_t number = objects.nodes.number_of(node, op.id.value);
  if (sheet.child() != nullptr) note_depth(objects, op.id.value, sheet.child()->depth);
  if (sheet.moved() != 0) move_inside(objects, sheet.moved(), op.id.value, number);
  if (op.type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) {
    const auto& made = sheet.params().alloc;
    const auto device = static_cast<unsigned>(made.poolProps.location.id);
    note_graph_memory(session, graph->real, made.dptr, made.bytesize, device);
  }
  bind_bodies(session, sheet, op.id.value, number, graph->inside);  // the table may move: `graph` is stale from here
  api::ops::GraphAddNodeReply{{number}}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

namespace {

/// The driver's call for nodes of this type, which accepts what the one for nodes of any type may not; that one where
/// the driver lacks it.
CUresult set_node(Session& session, CUgraphNode node, CUgraphNodeParams& params) {
  const DriverTable& driver = session.driver();
  if (params.type == CU_GRAPH_NODE_TYPE_KERNEL && driver.cuGraphKernelNodeSetParams_v2 != nullptr)
    return driver.cuGraphKernelNodeSetParams_v2(node, &params.kernel);
  if (params.type == CU_GRAPH_NODE_TYPE_MEMCPY && driver.cuGraphMemcpyNodeSetParams != nullptr)
    return driver.cuGraphMemcpyNodeSetParams(node, &params.memcpy.copyParams);
  if (params.type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP && driver.cuGraphBatchMemOpNodeSetParams != nullptr)
    return driver.cuGraphBatchMemOpNodeSetParams(node, &params.memOp);
  return driver.cuGraphNodeSetParams == nullptr ? CUDA_ERROR_NOT_SUPPORTED : driver.cuGraphNodeSetParams(node, &params);
}

CUresult set_node(Session& session, CUgraphExec exec, CUgraphNode node, CUgraphNodeParams& params) {
  const DriverTable& driver = session.driver();
  if (params.type == CU_GRAPH_NODE_TYPE_KERNEL && driver.cuGraphExecKernelNodeSetParams_v2 != nullptr)
    return driver.cuGraphExecKernelNodeSetParams_v2(exec, node, &params.kernel);
  if (params.type == CU_GRAPH_NODE_TYPE_MEMCPY && driver.cuGraphExecMemcpyNodeSetParams != nullptr)
    return driver.cuGraphExecMemcpyNodeSetParams(exec, node, &params.memcpy.copyParams, params.memcpy.copyCtx);
  if (params.type == CU_GRAPH_NODE_TYPE_MEMSET && driver.cuGraphExecMemsetNodeSetParams != nullptr) {
    const auto& fill = params.memset;
    const CUDA_MEMSET_NODE_PARAMS old{fill.dst, fill.pitch, fill.value, fill.elementSize, fill.width, fill.height};
    return driver.cuGraphExecMemsetNodeSetParams(exec, node, &old, fill.ctx);
  }
  if (params.type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP && driver.cuGraphExecBatchMemOpNodeSetParams != nullptr)
    return driver.cuGraphExecBatchMemOpNodeSetParams(exec, node, &params.memOp);
  return driver.cuGraphExecNodeSetParams == nullptr ? CUDA_ERROR_NOT_SUPPORTED
                                                    : driver.cuGraphExecNodeSetParams(exec, node, &params);
}

/// Whether the guest takes part in what the node does or is to do; `nodes` is empty where only the latter holds.
bool is_stepped(Session& session, CUgraphNode node, const NodeSheet& sheet, CopyNodes& nodes) {
  unsigned type = 0;
  if (sheet.type() != CU_GRAPH_NODE_TYPE_MEMCPY || session.driver().cuGraphNodeGetType(node, &type) != CUDA_SUCCESS)
    return false;
  return find_copy_nodes(session, node, type, nodes) || sheet.copy_step() != nullptr;
}

}  // namespace

void graph_set_node(Session& session, const api::ops::GraphSetNode& op, Call& call) {
  CUgraphNode node = nullptr;
  NodeSheet sheet;
  if (!session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (op.type == CU_GRAPH_NODE_TYPE_CONDITIONAL) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  CUresult result = sheet.read(session, op.type, op.sheet);
  if (CopyNodes nodes; result == CUDA_SUCCESS && is_stepped(session, node, sheet, nodes))
    result = set_copy_nodes(session, nullptr, nodes, sheet);
  else if (result == CUDA_SUCCESS)
    result = set_node(session, node, sheet.params());
  if (result == CUDA_SUCCESS) sheet.keep();
  call.finish(result);
}

void exec_set_node(Session& session, const api::ops::ExecSetNode& op, Call& call) {
  const Exec* exec = session.objects().execs.find(op.id.value);
  CUgraphNode node = nullptr;
  NodeSheet sheet;
  if (exec == nullptr || !session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (op.type == CU_GRAPH_NODE_TYPE_CONDITIONAL) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  CUresult result = sheet.read(session, op.type, op.sheet);
  if (CopyNodes nodes; result == CUDA_SUCCESS && is_stepped(session, node, sheet, nodes))
    result = set_copy_nodes(session, exec->real, nodes, sheet);
  else if (result == CUDA_SUCCESS)
    result = set_node(session, exec->real, node, sheet.params());
  if (result == CUDA_SUCCESS) sheet.keep();
  call.finish(result);
}

void graph_node_sheet(Session& session, const api::ops::GraphNodeSheet& op, Call& call) {
  CUgraphNode node = nullptr;
  unsigned type = 0;
  if (!session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUresult result = session.driver().cuGraphNodeGetType(node, &type);
  std::array<uint8_t, 880> bytes;
  wire::Writer out{std::span<uint8_t>(bytes)};
  if (result == CUDA_SUCCESS) result = write_sheet(session, node, type, out);
  // What cannot be told is empty: the guest learns the type all the same.
  const wire::Bytes sheet = result == CUDA_SUCCESS ? out.written() : wire::Bytes();
  api::ops::GraphNodeSheetReply{type, sheet}.encode(call.reply());
  call.finish(result == CUDA_ERROR_NOT_SUPPORTED ? CUDA_SUCCESS : result);
}

void conditional_create(Session& session, const api::ops::ConditionalCreate& op, Call& call) {
  const auto create = session.driver().cuGraphConditionalHandleCreate;
  Graph* graph = session.objects().graphs.find(op.id.value);
  if (create == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (graph == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (session.objects().conditions.size() >= kMostConditions) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  CUgraphConditionalHandle condition = 0;
  const CUresult result = create(&condition, graph->real, session.context().real, op.initial, op.flags);
  if (result == CUDA_SUCCESS) session.objects().conditions.insert(condition);
  api::ops::ConditionalCreateReply{condition}.encode(call.reply());
  call.finish(result);
}

// Attributes of kernel nodes. Values are plain but for events, which are for launches only (CUDA_ERROR_INVALID_VALUE),
// and for what hands out a handle of the driver's.

void node_set_attribute(Session& session, const api::ops::NodeSetAttribute& op, Call& call) {
  const auto set = session.driver().cuGraphKernelNodeSetAttribute;
  CUgraphNode node = nullptr;
  if (set == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!is_plain_attribute(op.attribute)) return call.finish(refusal_of(op.attribute));
  if (!session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUlaunchAttributeValue value{};
  std::memcpy(value.bytes, op.value.data(), std::min(op.value.size(), sizeof value.bytes));
  call.finish(set(node, op.attribute, &value));
}

void node_get_attribute(Session& session, const api::ops::NodeGetAttribute& op, Call& call) {
  const auto get = session.driver().cuGraphKernelNodeGetAttribute;
  CUgraphNode node = nullptr;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!is_plain_attribute(op.attribute)) return call.finish(refusal_of(op.attribute));
  if (!session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUlaunchAttributeValue value{};
  const CUresult result = get(node, op.attribute, &value);
  api::ops::NodeGetAttributeReply{wire::Bytes(value.bytes, sizeof value.bytes)}.encode(call.reply());
  call.finish(result);
}

void node_copy_attributes(Session& session, const api::ops::NodeCopyAttributes& op, Call& call) {
  const auto copy = session.driver().cuGraphKernelNodeCopyAttributes;
  CUgraphNode to = nullptr, from = nullptr;
  if (copy == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.to.value, to) || !session.objects().find(op.from.value, from))
    return call.finish(CUDA_ERROR_INVALID_HANDLE);
  call.finish(copy(to, from));
}

void exec_enable_node(Session& session, const api::ops::ExecEnableNode& op, Call& call) {
  const auto set = session.driver().cuGraphNodeSetEnabled;
  const Exec* exec = session.objects().execs.find(op.id.value);
  CUgraphNode node = nullptr;
  if (set == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (exec == nullptr || !session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  call.finish(set(exec->real, node, op.enabled));
}

void exec_node_enabled(Session& session, const api::ops::ExecNodeEnabled& op, Call& call) {
  const auto get = session.driver().cuGraphNodeGetEnabled;
  const Exec* exec = session.objects().execs.find(op.id.value);
  CUgraphNode node = nullptr;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (exec == nullptr || !session.objects().find(op.what.value, node)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  unsigned enabled = 0;
  const CUresult result = get(exec->real, node, &enabled);
  api::ops::ExecNodeEnabledReply{enabled}.encode(call.reply());
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
