#include "worker/sim/device/graph.hpp"

#include <algorithm>
#include <unordered_map>

#include "worker/sim/device/context.hpp"
#include "worker/sim/device/handle_table.hpp"

namespace vgpu::sim::device {

std::shared_ptr<GraphNode> Graph::add(NodeType type, Work work, std::vector<std::shared_ptr<GraphNode>> after) {
  auto node = std::make_shared<GraphNode>();
  node->handle = next_handle();
  node->graph = handle;
  node->type = type;
  node->work = std::move(work);
  node->after = std::move(after);
  nodes.push_back(node);
  return node;
}

std::vector<std::shared_ptr<GraphNode>> Graph::roots() const {
  std::vector<std::shared_ptr<GraphNode>> out;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(out),
               [](const auto& node) { return node->after.empty(); });
  return out;
}

GraphExec::GraphExec(std::uint64_t exec_handle, const Graph& graph) : handle(exec_handle), steps_(graph.nodes.size()) {
  std::unordered_map<const GraphNode*, std::size_t> place;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) place[graph.nodes[i].get()] = i;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    steps_[i].work = graph.nodes[i]->work;
    for (const auto& before : graph.nodes[i]->after) {
      const auto found = place.find(before.get());
      if (found == place.end()) continue;
      steps_[found->second].next.push_back(i);
      ++steps_[i].waits_for;
    }
  }
}

void GraphExec::run(Context& context, std::uint64_t seed) const {
  std::mt19937_64 random(seed);
  std::vector<std::size_t> waits_for, ready;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    waits_for.push_back(steps_[i].waits_for);
    if (steps_[i].waits_for == 0) ready.push_back(i);
  }
  while (!ready.empty() && context.error() == cuda::CUDA_SUCCESS) {
    const std::size_t pick = seed == 0 ? 0 : random() % ready.size();
    const Step& step = steps_[ready[pick]];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(pick));
    if (step.work) step.work(context);
    for (const std::size_t next : step.next)
      if (--waits_for[next] == 0) ready.push_back(next);
  }
}

Capture::Capture(std::uint64_t capture_id, unsigned capture_mode, std::shared_ptr<Stream> origin_stream)
    : id(capture_id),
      mode(capture_mode),
      owner(std::this_thread::get_id()),
      origin(origin_stream),
      context_id(origin_stream->context()->id()),
      graph(std::make_shared<Graph>()) {
  graph->handle = next_handle();
  members.push_back(origin_stream);
}

bool Capture::is_on_blocking_stream() const {
  return std::any_of(members.begin(), members.end(), [](const auto& member) {
    const auto stream = member.lock();
    return stream != nullptr && stream->kind() == Stream::Kind::blocking;
  });
}

}  // namespace vgpu::sim::device
