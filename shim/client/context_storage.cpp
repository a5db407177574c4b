#include "shim/client/context_storage.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "shim/client/channel.hpp"
#include "shim/client/context.hpp"
#include "shim/client/context_end.hpp"

namespace vgpu::shim::context_storage {
namespace {

struct Entry {
  void* value;
  Destructor destructor;
};
using Place = std::pair<CUcontext, void*>;

struct Store {
  std::mutex mutex;
  std::map<Place, Entry> entries;
};

/// Never destroyed: libcudart asks until the very end of the process.
Store& store() {
  static Store& made = *new Store;
  return made;
}

/// Counts changes: a thread's cached line is good only while this has not moved.
std::atomic<uint64_t> generation{1};

struct CachedLine {
  uint64_t generation;
  CUcontext context;
  void* key;
  void* value;
};
constexpr size_t kLines =
    4;  // one per copy of libcudart in use at a time; thread-local storage of a library must stay small
constinit thread_local CachedLine cache[kLines] = {};

CachedLine& line_for(CUcontext context, void* key) {
  const uint64_t mixed =
      (reinterpret_cast<uint64_t>(key) >> 4 ^ reinterpret_cast<uint64_t>(context)) * 0x9e3779b97f4a7c15u;
  return cache[mixed >> 62];
}
static_assert(kLines == 4, "line_for takes the two upper bits");

/// The current context for null; null if the handle means nothing, as none does in a forked child: other threads may
/// have held the lock of the store.
CUcontext resolve(CUcontext context) {
  if (is_fork_child()) return nullptr;
  const Context* known = context == nullptr ? current_context() : find_context(context);
  return known != nullptr ? handle_of(*known) : nullptr;
}

/// Release: pairs with get(); who sees the new number sees no old line as valid.
void changed() { generation.fetch_add(1, std::memory_order_release); }

}  // namespace

CUresult put(CUcontext context, void* key, void* value, Destructor destructor) {
  const CUcontext resolved = resolve(context);
  if (resolved == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  watch_context_ends();
  Store& all = store();
  const std::lock_guard lock(all.mutex);
  all.entries[{resolved, key}] = {value, destructor};
  changed();
  return CUDA_SUCCESS;
}

CUresult del(CUcontext context, void* key) {
  const CUcontext resolved = resolve(context);
  if (resolved == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  Store& all = store();
  const std::lock_guard lock(all.mutex);
  if (all.entries.erase({resolved, key}) == 0) return CUDA_ERROR_INVALID_HANDLE;
  changed();
  return CUDA_SUCCESS;
}

CUresult get(void** value, CUcontext context, void* key) {
  if (value == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const CUcontext resolved = resolve(context);
  if (resolved == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  CachedLine& line = line_for(resolved, key);
  if (line.key == key && line.context == resolved && line.generation == generation.load(std::memory_order_acquire))
      [[likely]] {
    *value = line.value;
    return CUDA_SUCCESS;
  }
  Store& all = store();
  const std::lock_guard lock(all.mutex);
  const auto found = all.entries.find({resolved, key});
  if (found == all.entries.end()) return CUDA_ERROR_INVALID_HANDLE;
  line = {generation.load(std::memory_order_relaxed), resolved, key, found->second.value};
  *value = found->second.value;
  return CUDA_SUCCESS;
}

void context_ended(CUcontext context) {
  std::vector<std::pair<Place, Entry>> ended;
  {
    Store& all = store();
    const std::lock_guard lock(all.mutex);
    const auto first = all.entries.lower_bound({context, nullptr});
    auto last = first;
    while (last != all.entries.end() && last->first.first == context) ended.push_back(*last++);
    all.entries.erase(first, last);
    changed();
  }
  // Without the lock: a destructor may well ask for other values.
  for (const auto& [place, entry] : ended) {
    if (entry.destructor != nullptr) entry.destructor(context, place.second, entry.value);
  }
}

}  // namespace vgpu::shim::context_storage
