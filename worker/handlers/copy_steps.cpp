#include "worker/handlers/copy_steps.hpp"

namespace vgpu::worker::handlers {
namespace {

CUDA_HOST_NODE_PARAMS host_params(HostSteps::Step* step) { return {&HostSteps::run_host_function, step}; }

/// Fills an empty graph with the two nodes.
CUresult fill(const DriverTable& driver, CUgraph inner, NodeSheet& sheet) {
  const CUDA_HOST_NODE_PARAMS host = host_params(sheet.copy_step());
  const auto& copy = sheet.params().memcpy;
  const uint32_t role = sheet.copy_step()->copy_role;
  CUgraphNode first = nullptr, second = nullptr;
  if (role != CopyStep::after) {
    const CUresult result = driver.cuGraphAddHostNode(&first, inner, nullptr, 0, &host);
    if (result != CUDA_SUCCESS || role == CopyStep::all) return result;
    return driver.cuGraphAddMemcpyNode(&second, inner, &first, 1, &copy.copyParams, copy.copyCtx);
  }
  const CUresult result = driver.cuGraphAddMemcpyNode(&first, inner, nullptr, 0, &copy.copyParams, copy.copyCtx);
  return result != CUDA_SUCCESS ? result : driver.cuGraphAddHostNode(&second, inner, &first, 1, &host);
}

}  // namespace

CUresult add_copy_nodes(Session& session, CUgraph graph, NodeList& after, NodeSheet& sheet, CUgraphNode& node) {
  const DriverTable& driver = session.driver();
  if (driver.cuGraphAddHostNode == nullptr || driver.cuGraphAddMemcpyNode == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  CUgraph inner = nullptr;
  CUresult result = driver.cuGraphCreate(&inner, 0);
  if (result != CUDA_SUCCESS) return result;
  result = fill(driver, inner, sheet);
  CUgraphNodeParams params{};
  params.type = CU_GRAPH_NODE_TYPE_GRAPH;
  params.graph.graph = inner;
  if (result == CUDA_SUCCESS)
    result = driver.cuGraphAddNode_v2(&node, graph, after.nodes(), after.edges(), after.size(), &params);
  (void)driver.cuGraphDestroy(inner);  // the node holds a copy
  return result;
}

bool find_copy_nodes(Session& session, CUgraphNode node, unsigned type, CopyNodes& nodes) {
  const DriverTable& driver = session.driver();
  CUgraph inner = nullptr;
  CUgraphNode found[3] = {};
  size_t count = 3;
  if (type != CU_GRAPH_NODE_TYPE_GRAPH || driver.cuGraphChildGraphNodeGetGraph == nullptr ||
      driver.cuGraphChildGraphNodeGetGraph(node, &inner) != CUDA_SUCCESS ||
      driver.cuGraphGetNodes(inner, found, &count) != CUDA_SUCCESS || count > 2)
    return false;
  for (size_t i = 0; i < count; ++i) {
    unsigned kind = 0;
    CUDA_HOST_NODE_PARAMS host{};
    if (driver.cuGraphNodeGetType(found[i], &kind) != CUDA_SUCCESS) return false;
    if (kind == CU_GRAPH_NODE_TYPE_MEMCPY) nodes.copy = found[i];
    if (kind != CU_GRAPH_NODE_TYPE_HOST || driver.cuGraphHostNodeGetParams(found[i], &host) != CUDA_SUCCESS ||
        host.fn != &HostSteps::run_host_function)
      continue;
    nodes.host = found[i];
    nodes.step = static_cast<const HostSteps::Step*>(host.userData);
  }
  return nodes.step != nullptr && nodes.step->copy_role != 0;
}

CUresult set_copy_nodes(Session& session, CUgraphExec exec, const CopyNodes& nodes, NodeSheet& sheet) {
  const DriverTable& driver = session.driver();
  HostSteps::Step* const step = sheet.copy_step();
  if (nodes.step == nullptr || step == nullptr || step->copy_role != nodes.step->copy_role)
    return CUDA_ERROR_NOT_SUPPORTED;
  const CUDA_HOST_NODE_PARAMS host = host_params(step);
  const auto& copy = sheet.params().memcpy;
  CUresult result = CUDA_SUCCESS;
  if (nodes.copy != nullptr)
    result = exec == nullptr ? driver.cuGraphMemcpyNodeSetParams(nodes.copy, &copy.copyParams)
                             : driver.cuGraphExecMemcpyNodeSetParams(exec, nodes.copy, &copy.copyParams, copy.copyCtx);
  if (result != CUDA_SUCCESS) return result;
  return exec == nullptr ? driver.cuGraphHostNodeSetParams(nodes.host, &host)
                         : driver.cuGraphExecHostNodeSetParams(exec, nodes.host, &host);
}

}  // namespace vgpu::worker::handlers
