// Graph nodes made, changed and asked about: whatever the type, a node travels as one description.
#pragma once

#include "shim/client/node_sheet.hpp"
#include "shim/client/request.hpp"

namespace vgpu::shim {

/// Where a new node goes.
struct Position {
  CUgraphNode* made;
  CUgraph graph;
  const CUgraphNode* after;
  size_t count;
  const CUgraphEdgeData* edges = nullptr;
};

/// What the driver refuses before it looks at the node's parameters.
CUresult check(const Position& at);
/// The record speaks for the context that the program named; the current one if it named none.
CUresult speak_for(Request& request, CUcontext context);
CUresult add_node(const Position& at, NodeSheet& sheet, unsigned type, CUcontext context = nullptr);

/// Describes and adds.
template <typename Params>
CUresult add_described(const Position& at, const Params* params, CUcontext context = nullptr) {
  if (const CUresult result = check(at); result != CUDA_SUCCESS) return result;
  if (params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  NodeSheet sheet;
  const CUresult result = sheet.describe(*params);
  return result != CUDA_SUCCESS ? result : add_node(at, sheet, sheet.type(), context);
}

/// Which node is to change: of a graph, or of an executable one.
struct Target {
  CUgraphNode node;
  CUgraphExec exec = nullptr;
};

CUresult set_node(const Target& target, NodeSheet& sheet, unsigned type, CUcontext context = nullptr);

template <typename Params>
CUresult set_described(const Target& target, const Params* params, CUcontext context = nullptr) {
  if (target.node == nullptr || params == nullptr) return CUDA_ERROR_INVALID_VALUE;
  NodeSheet sheet;
  const CUresult result = sheet.describe(*params);
  return result != CUDA_SUCCESS ? result : set_node(target, sheet, sheet.type(), context);
}

/// Asks for a node's type and its description, which is empty if that cannot be told.
CUresult ask_sheet(CUgraphNode node, Request& request, api::ops::GraphNodeSheetReply& reply);

/// Asks for a node's description and reads it; a node of another type is an invalid value.
template <typename Sheet>
CUresult get_described(CUgraphNode node, unsigned type, Sheet& sheet) {
  Request request(api::ops::GraphNodeSheet::kOp, api::ops::GraphNodeSheet::kNeedsContext);
  api::ops::GraphNodeSheetReply reply;
  if (node == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult result = ask_sheet(node, request, reply); result != CUDA_SUCCESS) return result;
  if (reply.type != type) return CUDA_ERROR_INVALID_VALUE;
  if (reply.sheet.empty()) return CUDA_ERROR_NOT_SUPPORTED;
  return read_sheet(reply.sheet, sheet) ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

}  // namespace vgpu::shim
