// cuGraph…Node…: nodes are made, changed and asked about. Whatever the type, a node travels as one description.
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "shim/client/child_graphs.hpp"
#include "shim/client/context.hpp"
#include "shim/client/functions.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/memory_nodes.hpp"
#include "shim/client/node_requests.hpp"
#include "shim/client/user_objects.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

CUresult add_event(const Position& at, CUevent event, unsigned type) {
  if (const CUresult result = check(at); result != CUDA_SUCCESS) return result;
  NodeSheet sheet;
  const CUresult result = sheet.describe_event(event);
  return result != CUDA_SUCCESS ? result : add_node(at, sheet, type);
}

CUresult add_graph(const Position& at, CUgraph child,
                   CUgraphChildGraphNodeOwnership ownership = CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE) {
  if (const CUresult result = check(at); result != CUDA_SUCCESS) return result;
  NodeSheet sheet;
  CUresult result = sheet.describe_graph(child, ownership);
  if (result == CUDA_SUCCESS) result = add_node(at, sheet, sheet.type());
  if (result != CUDA_SUCCESS) return result;
  if (ownership == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE) {
    note_inside(child, at.graph, *at.made);
    user_objects::graph_inside(number(at.graph), number(child));
  } else {
    user_objects::graph_copied(number(child), number(at.graph));
  }
  return result;
}

/// The arrays of graphs that conditional nodes hand out; the program reads them as long as it likes.
CUresult add_conditional(const Position& at, CUDA_CONDITIONAL_NODE_PARAMS& conditional) {
  constexpr unsigned kMostBodies = 64;
  if (conditional.size == 0 || conditional.size > kMostBodies) return CUDA_ERROR_INVALID_VALUE;
  std::vector<uint64_t> bodies(conditional.size);
  for (uint64_t& body : bodies) body = handles(wire::Kind::graph).make();
  NodeSheet sheet;
  CUresult result = sheet.describe(conditional, bodies);
  if (result == CUDA_SUCCESS) result = add_node(at, sheet, sheet.type(), conditional.ctx);
  if (result != CUDA_SUCCESS) {
    for (const uint64_t body : bodies) handles(wire::Kind::graph).discard(body);
    return result;
  }
  for (const uint64_t body : bodies) user_objects::graph_inside(number(at.graph), body);
  auto* const graphs = new CUgraph[bodies.size()];
  for (size_t i = 0; i < bodies.size(); ++i) {
    graphs[i] = reinterpret_cast<CUgraph>(bodies[i]);
    note_inside(graphs[i], at.graph);
  }
  conditional.phGraph_out = graphs;
  return CUDA_SUCCESS;
}

CUDA_KERNEL_NODE_PARAMS_v2 newer(const CUDA_KERNEL_NODE_PARAMS_v1& old) {
  return {old.func,      old.gridDimX,       old.gridDimY,     old.gridDimZ, old.blockDimX, old.blockDimY,
          old.blockDimZ, old.sharedMemBytes, old.kernelParams, old.extra,    nullptr,       nullptr};
}

CUDA_MEMSET_NODE_PARAMS_v1 older(const CUDA_MEMSET_NODE_PARAMS_v2& fill) {
  return {fill.dst, fill.pitch, fill.value, fill.elementSize, fill.width, fill.height};
}

/// What the driver refuses at once: reserved words that are not 0, types that are none.
bool is_well_formed(const CUgraphNodeParams& params) {
  return params.reserved0[0] == 0 && params.reserved0[1] == 0 && params.reserved0[2] == 0 && params.reserved2 == 0 &&
         params.type <= CU_GRAPH_NODE_TYPE_CONDITIONAL;
}

CUresult add_any(const Position& at, CUgraphNodeParams* params) {
  if (const CUresult result = check(at); result != CUDA_SUCCESS) return result;
  if (params == nullptr || !is_well_formed(*params)) return CUDA_ERROR_INVALID_VALUE;
  NodeSheet empty;
  switch (params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return add_described(at, &params->kernel, params->kernel.ctx);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      return add_described(at, &params->memcpy.copyParams, params->memcpy.copyCtx);
    case CU_GRAPH_NODE_TYPE_MEMSET: {
      const auto fill = older(params->memset);
      return add_described(at, &fill, params->memset.ctx);
    }
    case CU_GRAPH_NODE_TYPE_HOST:
      return add_described(at, &params->host);
    case CU_GRAPH_NODE_TYPE_GRAPH:
      return add_graph(at, params->graph.graph, params->graph.ownership);
    case CU_GRAPH_NODE_TYPE_EMPTY:
      return add_node(at, empty, CU_GRAPH_NODE_TYPE_EMPTY);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
      return add_event(at, params->eventWait.event, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      return add_event(at, params->eventRecord.event, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
      return add_allocation(at, &params->alloc);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
      return add_free(at, params->free.dptr);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
      return add_described(at, &params->memOp, params->memOp.ctx);
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
      return add_conditional(at, params->conditional);
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

/// A node whose copy goes through the guest goes on doing so, wherever its memory is now.
CUresult set_copy(const Target& target, const CUDA_MEMCPY3D* copy, CUcontext context = nullptr) {
  const CUresult result = set_described(target, copy, context);
  if (result != CUDA_ERROR_NOT_SUPPORTED) return result;
  NodeSheet sheet;
  const CUresult described = sheet.describe(*copy, true);
  return described != CUDA_SUCCESS ? described : set_node(target, sheet, sheet.type(), context);
}

CUresult set_event(const Target& target, CUevent event, unsigned type) {
  if (target.node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  NodeSheet sheet;
  const CUresult result = sheet.describe_event(event);
  return result != CUDA_SUCCESS ? result : set_node(target, sheet, type);
}

CUresult set_graph(const Target& target, CUgraph child) {
  if (target.node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  NodeSheet sheet;
  CUresult result = sheet.describe_graph(child);
  if (result == CUDA_SUCCESS) result = set_node(target, sheet, sheet.type());
  if (result == CUDA_SUCCESS && target.exec != nullptr) user_objects::child_updated(number(target.exec), number(child));
  return result;
}

CUresult set_any(const Target& target, const CUgraphNodeParams* params) {
  if (params == nullptr || !is_well_formed(*params)) return CUDA_ERROR_INVALID_VALUE;
  switch (params->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return set_described(target, &params->kernel, params->kernel.ctx);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      return set_copy(target, &params->memcpy.copyParams, params->memcpy.copyCtx);
    case CU_GRAPH_NODE_TYPE_MEMSET: {
      const auto fill = older(params->memset);
      return set_described(target, &fill, params->memset.ctx);
    }
    case CU_GRAPH_NODE_TYPE_HOST:
      return set_described(target, &params->host);
    case CU_GRAPH_NODE_TYPE_GRAPH:
      return set_graph(target, params->graph.graph);
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
      return set_event(target, params->eventWait.event, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      return set_event(target, params->eventRecord.event, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
      return set_described(target, &params->memOp, params->memOp.ctx);
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
}

/// Parameters that were handed to the program by address: they stay until the node is asked about again.
struct HandedOut {
  bool in_one_block = false;  ///< as the program gave them
  std::vector<uint8_t> block;
  size_t size = 0;
  std::vector<void*> parameters;
};

constinit std::mutex g_handed_out_mutex;
std::map<CUgraphNode, HandedOut>& handed_out() {
  static auto* const all = new std::map<CUgraphNode, HandedOut>;  // never destroyed
  return *all;
}

void hand_out(CUgraphNode node, const FunctionInfo& function, std::vector<uint8_t> block,
              CUDA_KERNEL_NODE_PARAMS& params) {
  const std::lock_guard lock(g_handed_out_mutex);
  HandedOut& mine = handed_out()[node];
  mine.block = std::move(block);
  mine.size = mine.block.size();
  mine.block.resize(std::max(mine.block.size(), function.parameter_bytes));
  mine.parameters.clear();
  if (mine.in_one_block) {
    mine.parameters = {reinterpret_cast<void*>(kLaunchParamBufferPointer), mine.block.data(),
                       reinterpret_cast<void*>(kLaunchParamBufferSize), &mine.size,
                       reinterpret_cast<void*>(kLaunchParamEnd)};
    params.extra = mine.parameters.data();
    return;
  }
  for (const Parameter& parameter : function.parameters) mine.parameters.push_back(&mine.block[parameter.offset]);
  if (!mine.parameters.empty()) params.kernelParams = mine.parameters.data();
}

/// How the program gave the parameters, for who asks later.
void note_form(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS& params) {
  const bool in_one_block = params.kernelParams == nullptr && params.extra != nullptr;
  const std::lock_guard lock(g_handed_out_mutex);
  const auto known = handed_out().find(node);
  if (known != handed_out().end())
    known->second.in_one_block = in_one_block;
  else if (in_one_block)
    handed_out()[node].in_one_block = true;
}
CUresult noted(CUresult result, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* params) {
  if (result == CUDA_SUCCESS) note_form(node, *params);
  return result;
}

}  // namespace

CUresult cuGraphAddKernelNode_v2(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                                 size_t numDependencies, const CUDA_KERNEL_NODE_PARAMS* nodeParams) {
  const CUresult result = add_described({phGraphNode, hGraph, dependencies, numDependencies}, nodeParams,
                                        nodeParams == nullptr ? nullptr : nodeParams->ctx);
  if (result == CUDA_SUCCESS) note_form(*phGraphNode, *nodeParams);
  return result;
}
CUresult cuGraphAddKernelNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                              size_t numDependencies, const CUDA_KERNEL_NODE_PARAMS_v1* nodeParams) {
  const auto params = nodeParams == nullptr ? CUDA_KERNEL_NODE_PARAMS{} : newer(*nodeParams);
  return cuGraphAddKernelNode_v2(phGraphNode, hGraph, dependencies, numDependencies,
                                 nodeParams == nullptr ? nullptr : &params);
}
CUresult cuGraphAddMemcpyNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                              size_t numDependencies, const CUDA_MEMCPY3D* copyParams, CUcontext ctx) {
  return add_described({phGraphNode, hGraph, dependencies, numDependencies}, copyParams, ctx);
}
CUresult cuGraphAddMemsetNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                              size_t numDependencies, const CUDA_MEMSET_NODE_PARAMS* memsetParams, CUcontext ctx) {
  return add_described({phGraphNode, hGraph, dependencies, numDependencies}, memsetParams, ctx);
}
CUresult cuGraphAddHostNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                            size_t numDependencies, const CUDA_HOST_NODE_PARAMS* nodeParams) {
  return add_described({phGraphNode, hGraph, dependencies, numDependencies}, nodeParams);
}
CUresult cuGraphAddChildGraphNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                                  size_t numDependencies, CUgraph childGraph) {
  return add_graph({phGraphNode, hGraph, dependencies, numDependencies}, childGraph);
}
CUresult cuGraphAddEventRecordNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                                   size_t numDependencies, CUevent event) {
  return add_event({phGraphNode, hGraph, dependencies, numDependencies}, event, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
}
CUresult cuGraphAddEventWaitNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                                 size_t numDependencies, CUevent event) {
  return add_event({phGraphNode, hGraph, dependencies, numDependencies}, event, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
}
CUresult cuGraphAddNode(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                        size_t numDependencies, CUgraphNodeParams* nodeParams) {
  return add_any({phGraphNode, hGraph, dependencies, numDependencies}, nodeParams);
}
CUresult cuGraphAddNode_v2(CUgraphNode* phGraphNode, CUgraph hGraph, const CUgraphNode* dependencies,
                           const CUgraphEdgeData* dependencyData, size_t numDependencies,
                           CUgraphNodeParams* nodeParams) {
  return add_any({phGraphNode, hGraph, dependencies, numDependencies, dependencyData}, nodeParams);
}

CUresult cuGraphKernelNodeSetParams_v2(CUgraphNode hNode, const CUDA_KERNEL_NODE_PARAMS* nodeParams) {
  return noted(set_described({hNode}, nodeParams, nodeParams == nullptr ? nullptr : nodeParams->ctx), hNode,
               nodeParams);
}
CUresult cuGraphKernelNodeSetParams(CUgraphNode hNode, const CUDA_KERNEL_NODE_PARAMS_v1* nodeParams) {
  const auto params = nodeParams == nullptr ? CUDA_KERNEL_NODE_PARAMS{} : newer(*nodeParams);
  return cuGraphKernelNodeSetParams_v2(hNode, nodeParams == nullptr ? nullptr : &params);
}
CUresult cuGraphMemcpyNodeSetParams(CUgraphNode hNode, const CUDA_MEMCPY3D* nodeParams) {
  return set_copy({hNode}, nodeParams);
}
CUresult cuGraphMemsetNodeSetParams(CUgraphNode hNode, const CUDA_MEMSET_NODE_PARAMS* nodeParams) {
  return set_described({hNode}, nodeParams);
}
CUresult cuGraphHostNodeSetParams(CUgraphNode hNode, const CUDA_HOST_NODE_PARAMS* nodeParams) {
  return set_described({hNode}, nodeParams);
}
CUresult cuGraphEventRecordNodeSetEvent(CUgraphNode hNode, CUevent event) {
  return set_event({hNode}, event, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
}
CUresult cuGraphEventWaitNodeSetEvent(CUgraphNode hNode, CUevent event) {
  return set_event({hNode}, event, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
}
CUresult cuGraphNodeSetParams(CUgraphNode hNode, CUgraphNodeParams* nodeParams) { return set_any({hNode}, nodeParams); }

CUresult cuGraphExecKernelNodeSetParams_v2(CUgraphExec hGraphExec, CUgraphNode hNode,
                                           const CUDA_KERNEL_NODE_PARAMS* nodeParams) {
  if (hGraphExec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_described({hNode, hGraphExec}, nodeParams, nodeParams == nullptr ? nullptr : nodeParams->ctx);
}
CUresult cuGraphExecKernelNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                        const CUDA_KERNEL_NODE_PARAMS_v1* nodeParams) {
  if (hGraphExec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const auto params = nodeParams == nullptr ? CUDA_KERNEL_NODE_PARAMS{} : newer(*nodeParams);
  return set_described({hNode, hGraphExec}, nodeParams == nullptr ? nullptr : &params);
}
CUresult cuGraphExecMemcpyNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode, const CUDA_MEMCPY3D* copyParams,
                                        CUcontext ctx) {
  if (hGraphExec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_copy({hNode, hGraphExec}, copyParams, ctx);
}
CUresult cuGraphExecMemsetNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                        const CUDA_MEMSET_NODE_PARAMS* memsetParams, CUcontext ctx) {
  if (hGraphExec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_described({hNode, hGraphExec}, memsetParams, ctx);
}
CUresult cuGraphExecHostNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode,
                                      const CUDA_HOST_NODE_PARAMS* nodeParams) {
  if (hGraphExec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_described({hNode, hGraphExec}, nodeParams);
}
CUresult cuGraphExecChildGraphNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode, CUgraph childGraph) {
  if (hGraphExec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_graph({hNode, hGraphExec}, childGraph);
}
CUresult cuGraphExecEventRecordNodeSetEvent(CUgraphExec hGraphExec, CUgraphNode hNode, CUevent event) {
  if (hGraphExec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_event({hNode, hGraphExec}, event, CU_GRAPH_NODE_TYPE_EVENT_RECORD);
}
CUresult cuGraphExecEventWaitNodeSetEvent(CUgraphExec hGraphExec, CUgraphNode hNode, CUevent event) {
  if (hGraphExec == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_event({hNode, hGraphExec}, event, CU_GRAPH_NODE_TYPE_WAIT_EVENT);
}
CUresult cuGraphExecNodeSetParams(CUgraphExec hGraphExec, CUgraphNode hNode, CUgraphNodeParams* nodeParams) {
  if (hGraphExec == nullptr || hNode == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return set_any({hNode, hGraphExec}, nodeParams);
}

CUresult cuGraphKernelNodeGetParams_v2(CUgraphNode hNode, CUDA_KERNEL_NODE_PARAMS* nodeParams) {
  KernelSheet sheet;
  if (nodeParams == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUresult result = get_described(hNode, CU_GRAPH_NODE_TYPE_KERNEL, sheet);
  if (result != CUDA_SUCCESS) return result;
  FunctionInfo* function =
      sheet.params.func != nullptr ? functions::find(sheet.params.func) : functions::find(sheet.params.kern);
  if (function == nullptr) return CUDA_ERROR_UNKNOWN;
  result = functions::layout(*function);
  if (result != CUDA_SUCCESS) return result;
  *nodeParams = sheet.params;
  hand_out(hNode, *function, std::move(sheet.block), *nodeParams);
  return CUDA_SUCCESS;
}
CUresult cuGraphKernelNodeGetParams(CUgraphNode hNode, CUDA_KERNEL_NODE_PARAMS_v1* nodeParams) {
  CUDA_KERNEL_NODE_PARAMS params;
  if (nodeParams == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult result = cuGraphKernelNodeGetParams_v2(hNode, &params); result != CUDA_SUCCESS) return result;
  *nodeParams = {params.func,      params.gridDimX,  params.gridDimY,       params.gridDimZ,     params.blockDimX,
                 params.blockDimY, params.blockDimZ, params.sharedMemBytes, params.kernelParams, params.extra};
  return CUDA_SUCCESS;
}
CUresult cuGraphMemcpyNodeGetParams(CUgraphNode hNode, CUDA_MEMCPY3D* nodeParams) {
  return nodeParams == nullptr ? CUDA_ERROR_INVALID_VALUE
                               : get_described(hNode, CU_GRAPH_NODE_TYPE_MEMCPY, *nodeParams);
}
CUresult cuGraphMemsetNodeGetParams(CUgraphNode hNode, CUDA_MEMSET_NODE_PARAMS* nodeParams) {
  return nodeParams == nullptr ? CUDA_ERROR_INVALID_VALUE
                               : get_described(hNode, CU_GRAPH_NODE_TYPE_MEMSET, *nodeParams);
}

CUresult cuGraphHostNodeGetParams(CUgraphNode hNode, CUDA_HOST_NODE_PARAMS* nodeParams) {
  return nodeParams == nullptr ? CUDA_ERROR_INVALID_VALUE : get_described(hNode, CU_GRAPH_NODE_TYPE_HOST, *nodeParams);
}
CUresult cuGraphEventRecordNodeGetEvent(CUgraphNode hNode, CUevent* event_out) {
  return event_out == nullptr ? CUDA_ERROR_INVALID_VALUE
                              : get_described(hNode, CU_GRAPH_NODE_TYPE_EVENT_RECORD, *event_out);
}
CUresult cuGraphEventWaitNodeGetEvent(CUgraphNode hNode, CUevent* event_out) {
  return event_out == nullptr ? CUDA_ERROR_INVALID_VALUE
                              : get_described(hNode, CU_GRAPH_NODE_TYPE_WAIT_EVENT, *event_out);
}

CUresult cuGraphConditionalHandleCreate(CUgraphConditionalHandle* pHandle_out, CUgraph hGraph, CUcontext ctx,
                                        unsigned defaultLaunchValue, unsigned flags) {
  using Op = api::ops::ConditionalCreate;
  Request request(Op::kOp, Op::kNeedsContext);
  if (pHandle_out == nullptr || hGraph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult result = speak_for(request, ctx); result != CUDA_SUCCESS) return result;
  api::ops::ConditionalCreateReply reply;
  const CUresult result = call(request, Op{{number(hGraph)}, defaultLaunchValue, flags}, reply);
  if (result == CUDA_SUCCESS) *pHandle_out = reply.condition;
  return result;
}

CUresult cuGraphKernelNodeSetAttribute(CUgraphNode hNode, CUkernelNodeAttrID attr, const CUkernelNodeAttrValue* value) {
  if (hNode == nullptr || value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return call(api::ops::NodeSetAttribute{{number(hNode)}, attr, wire::Bytes(value->bytes, sizeof value->bytes)});
}
CUresult cuGraphKernelNodeGetAttribute(CUgraphNode hNode, CUkernelNodeAttrID attr, CUkernelNodeAttrValue* value_out) {
  using Op = api::ops::NodeGetAttribute;
  if (hNode == nullptr || value_out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Request request(Op::kOp, Op::kNeedsContext);
  api::ops::NodeGetAttributeReply reply;
  const CUresult result = call(request, Op{{number(hNode)}, attr}, reply);
  if (result == CUDA_SUCCESS)
    std::memcpy(value_out->bytes, reply.value.data(), std::min(reply.value.size(), sizeof value_out->bytes));
  return result;
}
CUresult cuGraphKernelNodeCopyAttributes(CUgraphNode dst, CUgraphNode src) {
  if (dst == nullptr || src == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return call(api::ops::NodeCopyAttributes{{number(dst)}, {number(src)}});
}

CUresult cuGraphNodeSetEnabled(CUgraphExec hGraphExec, CUgraphNode hNode, unsigned isEnabled) {
  if (hGraphExec == nullptr || hNode == nullptr) return CUDA_ERROR_INVALID_VALUE;
  return call(api::ops::ExecEnableNode{{number(hGraphExec)}, {number(hNode)}, isEnabled});
}
CUresult cuGraphNodeGetEnabled(CUgraphExec hGraphExec, CUgraphNode hNode, unsigned* isEnabled) {
  using Op = api::ops::ExecNodeEnabled;
  if (hGraphExec == nullptr || hNode == nullptr || isEnabled == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Request request(Op::kOp, Op::kNeedsContext);
  api::ops::ExecNodeEnabledReply reply;
  const CUresult result = call(request, Op{{number(hGraphExec)}, {number(hNode)}}, reply);
  if (result == CUDA_SUCCESS) *isEnabled = reply.enabled;
  return result;
}

}  // namespace vgpu::shim::calls
