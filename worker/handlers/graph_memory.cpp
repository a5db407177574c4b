#include "worker/handlers/graph_memory.hpp"

#include <set>

#include "worker/handlers/handlers.gen.hpp"

namespace vgpu::worker::handlers {
namespace {

uint64_t number(CUgraph graph) { return reinterpret_cast<uint64_t>(graph); }

/// The driver's graphs from which something can still be launched.
std::set<uint64_t> graphs_in_use(Objects& objects) {
  std::set<uint64_t> all;
  objects.graphs.for_each([&](uint64_t, const Graph& graph) { all.insert(number(graph.real)); });
  objects.execs.for_each([&](uint64_t, const Exec& exec) { all.insert(number(exec.made_from)); });
  return all;
}

/// A graph under capture may have no handle yet.
bool is_any_capture_open(Session& session) {
  bool open = false;
  session.contexts().for_each(
      [&](uint64_t handle) { open = open || session.contexts().find(handle)->open_captures != 0; });
  return open;
}

bool is_allocated(Session& session, uint64_t address) {
  CUdeviceptr base = 0;
  size_t size = 0;
  const CUresult result = session.driver().cuMemGetAddressRange_v2(&base, &size, address);
  return result != CUDA_ERROR_INVALID_VALUE && result != CUDA_ERROR_NOT_FOUND;
}

}  // namespace

void note_graph_memory(Session& session, CUgraph graph, uint64_t address, uint64_t size, unsigned device) {
  session.allocations().add(address, {size, Memory::graph, session.memory_owner(), number(graph), device});
}

void forget_graph_memory(Session& session) {
  if (session.allocations().graph_ranges() == 0 || is_any_capture_open(session)) return;
  const std::set<uint64_t> in_use = graphs_in_use(session.objects());
  session.allocations().remove_if([&](uint64_t base, const Allocations::Range& range) {
    return range.kind == Memory::graph && in_use.count(range.owner) == 0 && !is_allocated(session, base);
  });
}

bool is_last_use(Session& session, const Allocations::Range& range) {
  return range.kind != Memory::graph || graphs_in_use(session.objects()).count(range.owner) == 0;
}

void graph_memory_get(Session& session, const api::ops::GraphMemoryGet& op, Call& call) {
  const auto get = session.driver().cuDeviceGetGraphMemAttribute;
  uint64_t value[8] = {};  // attributes are 64 bits wide, so far
  const CUresult result =
      get == nullptr ? CUDA_ERROR_NOT_SUPPORTED : get(static_cast<int>(op.device), op.attribute, value);
  api::ops::GraphMemoryGetReply{value[0]}.encode(call.reply());
  call.finish(result);
}

void graph_memory_set(Session& session, const api::ops::GraphMemorySet& op, Call& call) {
  const auto set = session.driver().cuDeviceSetGraphMemAttribute;
  uint64_t value[8] = {op.value};
  call.finish(set == nullptr ? CUDA_ERROR_NOT_SUPPORTED : set(static_cast<int>(op.device), op.attribute, value));
}

}  // namespace vgpu::worker::handlers
