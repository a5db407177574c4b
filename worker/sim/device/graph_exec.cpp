#include "worker/sim/device/graph_exec.hpp"

#include <algorithm>

#include "worker/sim/device/copy.hpp"
#include "worker/sim/device/handle_table.hpp"

namespace vgpu::sim::device {
namespace {

constexpr std::uint64_t use_node_priority = 8;

std::uint64_t value_of(const KernelAttributes& attributes, cuda::CUlaunchAttributeID id) {
  const auto found = attributes.find(id);
  std::uint32_t value = 0;
  if (found != attributes.end()) __builtin_memcpy(&value, found->second.bytes, sizeof value);
  return value;
}

UpdateProblem check(const KernelParameters& old, const KernelParameters& now, bool by_priority) {
  if (old.context_id != now.context_id) return UpdateProblem::function_changed;
  const auto differ = [&](cuda::CUlaunchAttributeID id) {
    return value_of(old.attributes, id) != value_of(now.attributes, id);
  };
  if (differ(cuda::CU_LAUNCH_ATTRIBUTE_COOPERATIVE) || (by_priority && differ(cuda::CU_LAUNCH_ATTRIBUTE_PRIORITY)))
    return UpdateProblem::attributes_changed;
  return UpdateProblem::none;
}

Place place_of_end(cuda::CUmemorytype type, const void* host, cuda::CUdeviceptr device) {
  return place_of(type == cuda::CU_MEMORYTYPE_HOST ? reinterpret_cast<std::uint64_t>(host) : device);
}

/// Pinned and pageable memory are one kind here.
bool is_same_kind(Place a, Place b) { return (a == Place::device) == (b == Place::device); }

UpdateProblem check(const cuda::CUDA_MEMCPY3D& old, const cuda::CUDA_MEMCPY3D& now) {
  const bool same = old.srcMemoryType == now.srcMemoryType && old.dstMemoryType == now.dstMemoryType &&
                    is_same_kind(place_of_end(old.srcMemoryType, old.srcHost, old.srcDevice),
                                 place_of_end(now.srcMemoryType, now.srcHost, now.srcDevice)) &&
                    is_same_kind(place_of_end(old.dstMemoryType, old.dstHost, old.dstDevice),
                                 place_of_end(now.dstMemoryType, now.dstHost, now.dstDevice));
  return same ? UpdateProblem::none : UpdateProblem::parameters_changed;
}

UpdateProblem check(const cuda::CUDA_MEMSET_NODE_PARAMS& old, const cuda::CUDA_MEMSET_NODE_PARAMS& now) {
  const bool reshaped =
      old.height != now.height ||
      (old.height > 1 && (old.width != now.width || old.pitch != now.pitch || old.elementSize != now.elementSize));
  const bool same = !reshaped && is_same_kind(place_of(old.dst), place_of(now.dst));
  return same ? UpdateProblem::none : UpdateProblem::parameters_changed;
}

/// The nodes that no other waits for.
std::vector<NodePtr> exits(const Graph& graph) {
  std::vector<NodePtr> out;
  std::copy_if(graph.nodes.begin(), graph.nodes.end(), std::back_inserter(out),
               [&](const NodePtr& node) { return graph.dependents(*node).empty(); });
  return out;
}

/// Pairs the nodes of two graphs by their edges, from the exits on.
class Pairing {
 public:
  explicit Pairing(std::vector<std::pair<NodePtr, NodePtr>>& out) : pairs_(out) {}

  UpdateResult run(const Graph& ours, const Graph& from) {
    if (ours.nodes.size() != from.nodes.size()) return {UpdateProblem::topology_changed, nullptr, nullptr};
    const auto our_exits = exits(ours), their_exits = exits(from);
    if (our_exits.size() != their_exits.size())
      return {UpdateProblem::topology_changed, their_exits.empty() ? nullptr : their_exits.back(), nullptr};
    for (std::size_t i = 0; i < our_exits.size(); ++i) add(our_exits[i], their_exits[i]);
    for (std::size_t done = 0; done < pairs_.size(); ++done) {
      const auto [our, their] = pairs_[done];
      if (our->after.size() != their->after.size()) return {UpdateProblem::topology_changed, their, nullptr};
      for (std::size_t i = 0; i < our->after.size(); ++i) {
        if (!match(our->after[i], their->after[i])) return {UpdateProblem::topology_changed, their, their->after[i]};
      }
    }
    return pairs_.size() == ours.nodes.size() ? UpdateResult{} : UpdateResult{UpdateProblem::topology_changed, {}, {}};
  }

 private:
  void add(const NodePtr& our, const NodePtr& their) {
    partner_[our.get()] = their.get();
    partner_[their.get()] = our.get();
    pairs_.emplace_back(our, their);
  }
  bool match(const NodePtr& our, const NodePtr& their) {
    const auto known = partner_.find(our.get()), theirs = partner_.find(their.get());
    if (known != partner_.end()) return known->second == their.get();
    if (theirs != partner_.end()) return false;
    add(our, their);
    return true;
  }

  std::vector<std::pair<NodePtr, NodePtr>>& pairs_;
  std::unordered_map<const GraphNode*, const GraphNode*> partner_;
};

}  // namespace

GraphExec::GraphExec(const Graph& graph, std::uint64_t instantiation_flags)
    : handle(next_handle()), flags(instantiation_flags), made_from(graph.handle), image_(graph.clone()) {
  index(*image_);
}

void GraphExec::index(const Graph& graph) {
  for (const NodePtr& node : graph.nodes) {
    by_origin_[node->origin] = node;
    if (const auto child = node->child()) index(*child);
  }
}

NodePtr GraphExec::find(const GraphNode& original) const {
  const auto found = by_origin_.find(original.handle);
  return found == by_origin_.end() ? nullptr : found->second;
}

std::shared_ptr<const GraphPlan> GraphExec::plan() {
  if (plan_ == nullptr) {
    auto made = std::make_shared<const GraphPlan>(*image_);
    if (made->is_acyclic()) plan_ = std::move(made);
  }
  return plan_;
}

UpdateProblem GraphExec::check(const Task& old, const Task& now) const {
  if (old.type != now.type) return UpdateProblem::node_type_changed;
  if (const auto* kernel = std::get_if<std::shared_ptr<const KernelParameters>>(&old.parameters))
    return device::check(**kernel, *std::get<std::shared_ptr<const KernelParameters>>(now.parameters),
                         (flags & use_node_priority) != 0);
  if (const auto* copy = std::get_if<cuda::CUDA_MEMCPY3D>(&old.parameters))
    return device::check(*copy, std::get<cuda::CUDA_MEMCPY3D>(now.parameters));
  if (const auto* fill = std::get_if<cuda::CUDA_MEMSET_NODE_PARAMS>(&old.parameters))
    return device::check(*fill, std::get<cuda::CUDA_MEMSET_NODE_PARAMS>(now.parameters));
  if (const auto* block = std::get_if<std::shared_ptr<const AllocationParameters>>(&old.parameters))
    return *block == std::get<std::shared_ptr<const AllocationParameters>>(now.parameters)
               ? UpdateProblem::none
               : UpdateProblem::parameters_changed;
  return UpdateProblem::none;
}

UpdateProblem GraphExec::set_task(const NodePtr& node, TaskPtr task) {
  const UpdateProblem problem = check(*node->task, *task);
  if (problem != UpdateProblem::none) return problem;
  node->task = std::move(task);
  plan_.reset();
  return problem;
}

void GraphExec::set_enabled(const NodePtr& node, bool enabled) {
  node->enabled = enabled;
  plan_.reset();
}

UpdateResult GraphExec::compare(const Graph& ours, const Graph& from, Pairs& changes) const {
  Pairs pairs;
  if (UpdateResult result = Pairing(pairs).run(ours, from); result.problem != UpdateProblem::none) return result;
  for (const auto& [our, their] : pairs) {
    const UpdateProblem problem = check(*our->task, *their->task);
    if (problem != UpdateProblem::none) return {problem, their, nullptr};
    if (const auto child = our->child()) {
      UpdateResult result = compare(*child, *their->child(), changes);
      if (result.problem != UpdateProblem::none) return result;
    } else {
      changes.emplace_back(our, their);
    }
  }
  return {};
}

UpdateResult GraphExec::update(const Graph& from, const NodePtr& into) {
  Pairs changes;
  UpdateResult result = compare(into == nullptr ? *image_ : *into->child(), from, changes);
  if (result.problem != UpdateProblem::none) return result;
  for (const auto& [our, their] : changes) our->task = their->task;
  plan_.reset();
  return result;
}

}  // namespace vgpu::sim::device
