#include "worker/sim/device/graph_plan.hpp"

#include <random>

#include "worker/sim/device/context.hpp"
#include "worker/sim/device/event.hpp"

namespace vgpu::sim::device {
namespace {

/// Visits the steps in an order that respects theirs, until `visit` says false. Returns how many were visited.
template <typename Visit>
std::size_t walk(const GraphPlan& plan, std::uint64_t seed, Visit visit) {
  std::mt19937_64 random(seed);
  const auto& steps = plan.steps();
  std::vector<std::size_t> waits_for, ready;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    waits_for.push_back(steps[i].waits_for);
    if (steps[i].waits_for == 0) ready.push_back(i);
  }
  std::size_t visited = 0;
  while (!ready.empty()) {
    const std::size_t pick = seed == 0 ? 0 : random() % ready.size();
    const std::size_t index = ready[pick];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(pick));
    if (!visit(index)) break;
    ++visited;
    for (const std::size_t next : steps[index].next)
      if (--waits_for[next] == 0) ready.push_back(next);
  }
  return visited;
}

}  // namespace

GraphPlan::GraphPlan(const Graph& graph) { add_all(graph, nowhere, nowhere); }

bool GraphPlan::is_acyclic() const {
  return walk(*this, 0, [](std::size_t) { return true; }) == steps_.size();
}

std::size_t GraphPlan::add(TaskPtr task) {
  steps_.push_back({std::move(task), {}, 0});
  return steps_.size() - 1;
}

void GraphPlan::link(std::size_t before, std::size_t after) {
  steps_[before].next.push_back(after);
  ++steps_[after].waits_for;
}

void GraphPlan::add_all(const Graph& graph, std::size_t begin, std::size_t end) {
  struct Place {
    std::size_t first, last;
  };
  std::unordered_map<const GraphNode*, Place> places;
  for (const NodePtr& node : graph.nodes) {
    const auto child = node->child();
    Place place{add(child == nullptr && node->enabled ? node->task : nullptr), 0};
    place.last = place.first;
    if (child != nullptr) {
      place.last = add(nullptr);
      link(place.first, place.last);
      add_all(*child, place.first, place.last);
    }
    if (begin != nowhere) link(begin, place.first);
    if (end != nowhere) link(place.last, end);
    places[node.get()] = place;
  }
  for (const NodePtr& node : graph.nodes) {
    for (const NodePtr& before : node->after) {
      const auto found = places.find(before.get());
      if (found != places.end()) link(found->second.last, places[node.get()].first);
    }
  }
}

GraphLaunch::GraphLaunch(std::shared_ptr<const GraphPlan> plan, std::uint64_t seed)
    : plan_(std::move(plan)), seed_(seed) {
  const auto& steps = plan_->steps();
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto* parameters =
        steps[i].task == nullptr ? nullptr : std::get_if<EventParameters>(&steps[i].task->parameters);
    if (parameters == nullptr) continue;
    EventUse& use = events_[i];
    use.event = parameters->event;
    if (steps[i].task->type == NodeType::record_event)
      use.mark = std::make_shared<Mark>();
    else if (use.event->shared != nullptr)
      use.number = use.event->shared->last_record();
    else
      use.marks = use.event->current_marks();
  }
  for (auto& [step, use] : events_) {
    if (use.mark == nullptr) continue;
    if (use.event->shared != nullptr)
      use.number = use.event->shared->record();
    else
      use.event->set_marks({use.mark});
  }
}

std::vector<MarkPtr> GraphLaunch::marks() const {
  std::vector<MarkPtr> out;
  for (const auto& [step, use] : events_)
    if (use.mark != nullptr) out.push_back(use.mark);
  return out;
}

void GraphLaunch::run(Context& context) {
  walk(*plan_, seed_, [&](std::size_t index) {
    if (context.error() != cuda::CUDA_SUCCESS) return false;
    run(context, index);
    return true;
  });
}

void GraphLaunch::run(Context& context, std::size_t index) {
  const TaskPtr& task = plan_->steps()[index].task;
  if (task == nullptr) return;
  const auto found = events_.find(index);
  if (found == events_.end()) {
    if (task->work) task->work(context);
    return;
  }
  const EventUse& use = found->second;
  if (use.mark != nullptr)
    record(context, use);
  else if (use.event->shared != nullptr)
    use.event->shared->wait(use.number);
  else
    use.event->context->wait(use.marks);
}

void GraphLaunch::record(Context& context, const EventUse& use) const {
  if (use.event->shared != nullptr) use.event->shared->complete(use.number);
  {
    const std::lock_guard lock(context.mutex);
    use.mark->set();
    context.changed.notify_all();
  }
  if (use.event->context.get() == &context) return;
  const std::lock_guard lock(use.event->context->mutex);
  use.event->context->changed.notify_all();
}

}  // namespace vgpu::sim::device
