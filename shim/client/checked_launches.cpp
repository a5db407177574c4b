#include "shim/client/checked_launches.hpp"

#include <atomic>
#include <mutex>
#include <set>

namespace vgpu::shim {
namespace {

constexpr unsigned long long kFreesByItself = 1;  // CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH

constinit std::atomic<bool> g_any{false};
constinit std::mutex g_mutex;
std::set<CUgraphExec>& execs() {
  static auto* const all = new std::set<CUgraphExec>;  // never destroyed
  return *all;
}

}  // namespace

void note_allocating_graphs() { g_any.store(true, std::memory_order_relaxed); }

void note_exec(CUgraphExec exec, unsigned long long flags) {
  if (!g_any.load(std::memory_order_relaxed) || (flags & kFreesByItself) != 0) return;
  const std::lock_guard lock(g_mutex);
  execs().insert(exec);
}

void forget_exec(CUgraphExec exec) {
  if (!g_any.load(std::memory_order_relaxed)) return;
  const std::lock_guard lock(g_mutex);
  execs().erase(exec);
}

bool may_be_refused(CUgraphExec exec) {
  if (!g_any.load(std::memory_order_relaxed)) return false;
  const std::lock_guard lock(g_mutex);
  return execs().count(exec) != 0;
}

}  // namespace vgpu::shim
