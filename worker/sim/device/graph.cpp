#include "worker/sim/device/graph.hpp"

#include <algorithm>
#include <unordered_map>

#include "worker/sim/device/context.hpp"
#include "worker/sim/device/handle_table.hpp"

namespace vgpu::sim::device {

std::shared_ptr<Graph> GraphNode::child() const {
  const auto* parameters = std::get_if<ChildParameters>(&task->parameters);
  return parameters == nullptr ? nullptr : parameters->graph;
}

Graph::Graph() : handle(next_handle()) {}

NodePtr Graph::add(TaskPtr task, std::vector<NodePtr> after) {
  auto node = std::make_shared<GraphNode>();
  node->handle = next_handle();
  node->graph = handle;
  node->task = std::move(task);
  node->after = std::move(after);
  nodes.push_back(node);
  return node;
}

void Graph::remove(const NodePtr& node) {
  std::erase(nodes, node);
  for (const NodePtr& other : nodes) std::erase(other->after, node);
  node->after.clear();
}

std::vector<NodePtr> Graph::roots() const {
  std::vector<NodePtr> out;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(out),
               [](const auto& node) { return node->after.empty(); });
  return out;
}

bool Graph::uses_memory() const {
  return std::any_of(nodes.begin(), nodes.end(), [](const auto& node) {
    const NodeType type = node->task->type;
    const auto child = node->child();
    return type == NodeType::allocation || type == NodeType::free || (child != nullptr && child->uses_memory());
  });
}

std::vector<NodePtr> Graph::dependents(const GraphNode& node) const {
  std::vector<NodePtr> out;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(out), [&](const auto& other) {
    return std::any_of(other->after.begin(), other->after.end(),
                       [&](const auto& before) { return before.get() == &node; });
  });
  return out;
}

std::shared_ptr<Graph> Graph::clone() const {
  auto out = std::make_shared<Graph>();
  std::unordered_map<const GraphNode*, NodePtr> copies;
  for (const NodePtr& node : nodes) {
    TaskPtr task = node->task;
    if (const auto child = node->child()) {
      auto copy = child->clone();
      copy->owned = true;
      task = std::make_shared<const Task>(Task{NodeType::graph, {}, ChildParameters{std::move(copy)}});
    }
    const NodePtr copy = copies[node.get()] = out->add(std::move(task), {});
    copy->origin = node->handle;
    copy->enabled = node->enabled;
  }
  for (const NodePtr& node : nodes) {
    for (const NodePtr& before : node->after) {
      const auto found = copies.find(before.get());
      if (found != copies.end()) copies[node.get()]->after.push_back(found->second);
    }
  }
  return out;
}

Capture::Capture(std::uint64_t capture_id, unsigned capture_mode, const std::shared_ptr<Stream>& origin_stream,
                 std::shared_ptr<Graph> into)
    : id(capture_id),
      mode(capture_mode),
      owner(std::this_thread::get_id()),
      origin(origin_stream),
      context_id(origin_stream->context()->id()),
      graph(std::move(into)) {
  members.push_back(origin_stream);
}

bool Capture::is_on_blocking_stream() const {
  return std::any_of(members.begin(), members.end(), [](const auto& member) {
    const auto stream = member.lock();
    return stream != nullptr && stream->kind() == Stream::Kind::blocking;
  });
}

}  // namespace vgpu::sim::device
