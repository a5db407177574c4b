#include "shim/client/node_requests.hpp"

#include "shim/client/contexts.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/node_lists.hpp"

namespace vgpu::shim {

CUresult check(const Position& at) {
  if (at.graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const Request probe(api::Op::graph_add_node, true); probe.refusal() != CUDA_SUCCESS) return probe.refusal();
  if (at.made == nullptr || (at.after == nullptr && at.count != 0)) return CUDA_ERROR_INVALID_VALUE;
  return at.count <= kMostDependencies ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

CUresult speak_for(Request& request, CUcontext context) {
  if (context == nullptr) return CUDA_SUCCESS;
  const Context* named = find_context(context);
  if (named == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  request.use_context(*named);
  return CUDA_SUCCESS;
}

CUresult add_node(const Position& at, NodeSheet& sheet, unsigned type, CUcontext context) {
  Request request(api::Op::graph_add_node, true);
  if (const CUresult result = speak_for(request, context); result != CUDA_SUCCESS) return result;
  if (sheet.bytes().size() > NodeSheet::kMost) return CUDA_ERROR_NOT_SUPPORTED;
  const std::vector<uint8_t> after = pack_dependencies(at.after, at.edges, at.count);
  std::vector<uint8_t> tail(after);
  const auto size = static_cast<uint32_t>(sheet.bytes().size());
  append(tail, &size, sizeof size);
  append(tail, sheet.bytes().data(), sheet.bytes().size());
  request.put(at.graph);
  request.body().put(uint32_t{type});
  request.body().put(static_cast<uint32_t>(after.size()));
  const CUresult result = request.call(tail);
  api::ops::GraphAddNodeReply reply;
  if (result != CUDA_SUCCESS) {
    sheet.discard();
    return result;
  }
  if (!reply.decode(request.reply())) return CUDA_ERROR_UNKNOWN;
  *at.made = reinterpret_cast<CUgraphNode>(reply.made.value);
  return CUDA_SUCCESS;
}

CUresult set_node(const Target& target, NodeSheet& sheet, unsigned type, CUcontext context) {
  Request request(target.exec == nullptr ? api::Op::graph_set_node : api::Op::exec_set_node, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  if (const CUresult result = speak_for(request, context); result != CUDA_SUCCESS) return result;
  if (sheet.bytes().size() > NodeSheet::kMost) return CUDA_ERROR_NOT_SUPPORTED;
  if (target.exec != nullptr) request.put(target.exec);
  request.put(target.node);
  request.body().put(uint32_t{type});
  request.body().put(static_cast<uint32_t>(sheet.bytes().size()));
  const CUresult result = request.call(sheet.bytes());
  if (result != CUDA_SUCCESS) sheet.discard();
  return result;
}

CUresult ask_sheet(CUgraphNode node, Request& request, api::ops::GraphNodeSheetReply& reply) {
  return call(request, api::ops::GraphNodeSheet{{number(node)}}, reply);
}

}  // namespace vgpu::shim
