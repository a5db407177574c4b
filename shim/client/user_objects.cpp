#include "shim/client/user_objects.hpp"

#include <algorithm>
#include <atomic>
#include <climits>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "shim/client/capture_state.hpp"
#include "shim/client/destructors.hpp"
#include "shim/staging/transfer.hpp"

namespace vgpu::shim::user_objects {
namespace {

struct Object {
  CUhostFn destroy;
  void* user;
  uint64_t references;
};
using References = std::map<CUuserObject, uint64_t>;

struct Graph {
  References held;
  std::vector<uint64_t> inside;  // graphs that go with it
};

struct Exec {
  References held;
  LaunchMark last_launch;
};

constinit std::mutex g_mutex;             // guards everything below
constinit std::atomic<size_t> g_held{0};  // graphs and executable graphs that have an entry
constinit uintptr_t g_next = 1;

// Never destroyed: calls may come after static destructors.
struct Tables {
  std::map<CUuserObject, Object> objects;
  std::map<uint64_t, Graph> graphs;
  std::map<uint64_t, Exec> execs;
};
Tables& tables() {
  static auto* const all = new Tables;
  return *all;
}

bool nothing_is_held() { return g_held.load(std::memory_order_relaxed) == 0; }

void publish_count() { g_held.store(tables().graphs.size() + tables().execs.size(), std::memory_order_relaxed); }

/// Gives references back; destructors of those that nobody holds any more come to `due`.
void give_back(CUuserObject object, uint64_t count, std::vector<Destructor>& due) {
  const auto found = tables().objects.find(object);
  if (found == tables().objects.end()) return;
  Object& known = found->second;
  known.references -= std::min(known.references, count);
  if (known.references != 0) return;
  due.push_back({known.destroy, known.user});
  tables().objects.erase(found);
}

void give_back(const References& held, std::vector<Destructor>& due) {
  for (const auto& [object, count] : held) give_back(object, count, due);
}

/// Adds references of a graph's to another holder.
void copy(const References& from, References& to) {
  for (const auto& [object, count] : from) {
    const auto found = tables().objects.find(object);
    if (found == tables().objects.end()) continue;
    found->second.references += count;
    to[object] += count;
  }
}

/// All that the graph holds, and what lies inside it.
void collect(uint64_t graph, References& all, unsigned depth = 0) {
  constexpr unsigned kDeepest = 64;
  const auto found = tables().graphs.find(graph);
  if (found == tables().graphs.end() || depth > kDeepest) return;
  for (const auto& [object, count] : found->second.held) all[object] += count;
  for (const uint64_t inner : found->second.inside) collect(inner, all, depth + 1);
}

void forget_graph(uint64_t graph, std::vector<Destructor>& due) {
  const auto found = tables().graphs.find(graph);
  if (found == tables().graphs.end()) return;
  const Graph gone = std::move(found->second);
  tables().graphs.erase(found);
  give_back(gone.held, due);
  for (const uint64_t inner : gone.inside) forget_graph(inner, due);
}

/// What an executable graph held is given back once its last launch has run. `g_mutex` is held.
void give_back_after(References held, LaunchMark mark) {
  if (mark.empty()) {
    std::vector<Destructor> due;
    give_back(held, due);
    run_destructors(std::move(due));
    return;
  }
  run_after(std::move(mark), [held = std::move(held)] {
    std::vector<Destructor> due;
    const std::lock_guard lock(g_mutex);
    give_back(held, due);
    return due;
  });
}

bool is_count(unsigned count) { return count != 0 && count <= INT_MAX; }

}  // namespace

CUresult create(CUuserObject& object, CUhostFn destroy, void* user, unsigned references) {
  if (destroy == nullptr || !is_count(references)) return CUDA_ERROR_INVALID_VALUE;
  if (!start_destructors()) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::lock_guard lock(g_mutex);
  object = reinterpret_cast<CUuserObject>(g_next++ << 4);
  tables().objects[object] = {destroy, user, references};
  return CUDA_SUCCESS;
}

CUresult retain(CUuserObject object, unsigned count) {
  if (!is_count(count)) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(g_mutex);
  const auto found = tables().objects.find(object);
  if (found == tables().objects.end()) return CUDA_ERROR_INVALID_VALUE;
  found->second.references += count;
  return CUDA_SUCCESS;
}

CUresult release(CUuserObject object, unsigned count) {
  if (!is_count(count)) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Destructor> due;
  const std::lock_guard lock(g_mutex);
  const auto found = tables().objects.find(object);
  if (found == tables().objects.end() || found->second.references < count) return CUDA_ERROR_INVALID_VALUE;
  give_back(object, count, due);
  run_destructors(std::move(due));
  return CUDA_SUCCESS;
}

CUresult retain_for_graph(uint64_t graph, CUuserObject object, unsigned count, bool move) {
  if (!is_count(count)) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(g_mutex);
  const auto found = tables().objects.find(object);
  if (found == tables().objects.end()) return CUDA_ERROR_INVALID_VALUE;
  if (!move) found->second.references += count;
  tables().graphs[graph].held[object] += count;
  publish_count();
  return CUDA_SUCCESS;
}

CUresult release_of_graph(uint64_t graph, CUuserObject object, unsigned count) {
  if (!is_count(count)) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Destructor> due;
  const std::lock_guard lock(g_mutex);
  const auto found = tables().graphs.find(graph);
  if (found == tables().graphs.end()) return CUDA_SUCCESS;
  References& held = found->second.held;
  const auto own = held.find(object);
  if (own == held.end()) return CUDA_SUCCESS;
  const uint64_t released = std::min<uint64_t>(own->second, count);
  if ((own->second -= released) == 0) held.erase(own);
  give_back(object, released, due);
  run_destructors(std::move(due));
  return CUDA_SUCCESS;
}

void graph_copied(uint64_t from, uint64_t to) {
  if (nothing_is_held()) return;
  const std::lock_guard lock(g_mutex);
  References all;
  collect(from, all);
  if (all.empty()) return;
  copy(all, tables().graphs[to].held);
  publish_count();
}

void graph_inside(uint64_t outer, uint64_t inner) {
  const std::lock_guard lock(g_mutex);
  tables().graphs[outer].inside.push_back(inner);
  publish_count();
}

void graph_gone(uint64_t graph) {
  if (nothing_is_held()) return;
  std::vector<Destructor> due;
  const std::lock_guard lock(g_mutex);
  forget_graph(graph, due);
  publish_count();
  run_destructors(std::move(due));
}

void instantiated(uint64_t graph, uint64_t exec) {
  if (nothing_is_held()) return;
  const std::lock_guard lock(g_mutex);
  References all;
  collect(graph, all);
  if (all.empty()) return;
  copy(all, tables().execs[exec].held);
  publish_count();
}

void updated(uint64_t exec, uint64_t graph) {
  if (nothing_is_held()) return;
  const std::lock_guard lock(g_mutex);
  Exec old;
  if (const auto found = tables().execs.find(exec); found != tables().execs.end()) {
    old = std::move(found->second);
    tables().execs.erase(found);
  }
  References all;
  collect(graph, all);
  if (!all.empty()) copy(all, tables().execs[exec].held);
  publish_count();
  if (!old.held.empty()) give_back_after(std::move(old.held), std::move(old.last_launch));
}

void child_updated(uint64_t exec, uint64_t child) { instantiated(child, exec); }

void launched(uint64_t exec, CUstream stream) {
  if (nothing_is_held()) return;
  // Part of a graph, nothing is launched yet.
  if (capture::open_captures.load(std::memory_order_relaxed) != 0 && is_capturing(stream)) return;
  LaunchMark mark;
  {
    const std::lock_guard lock(g_mutex);
    const auto found = tables().execs.find(exec);
    if (found == tables().execs.end()) return;
    mark = std::move(found->second.last_launch);
  }
  mark.put_behind(stream);  // an executable graph never runs beside itself: its last launch is over last
  const std::lock_guard lock(g_mutex);
  if (const auto found = tables().execs.find(exec); found != tables().execs.end())
    found->second.last_launch = std::move(mark);
}

void exec_gone(uint64_t exec) {
  if (nothing_is_held()) return;
  const std::lock_guard lock(g_mutex);
  const auto found = tables().execs.find(exec);
  if (found == tables().execs.end()) return;
  Exec gone = std::move(found->second);
  tables().execs.erase(found);
  publish_count();
  give_back_after(std::move(gone.held), std::move(gone.last_launch));
}

}  // namespace vgpu::shim::user_objects
