#include "shim/staging/pinned_memory.hpp"

#include <map>
#include <mutex>
#include <vector>

#include "common/base/range_allocator.hpp"
#include "shim/client/channel.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/request.hpp"
#include "shim/staging/extents.hpp"
#include "shim/staging/heap.hpp"

namespace vgpu::shim {
namespace {

using base::RangeAllocator;

// Allocations up to kSmall share extents. The first shared extents are small: many programs pin one word and no more,
// and registering costs time by the page.
constexpr size_t kSmall = 16u << 20;
constexpr uint64_t kSharedSizes[] = {4u << 20, 16u << 20, 64u << 20};
constexpr uint64_t kGranule = 512;
constexpr uint64_t kPage = 4096;

struct Shared {
  Extent* extent;
  RangeAllocator space;
};

struct Entry {
  PinnedAllocation facts;
  Extent* own = nullptr;  // of this allocation alone
  Shared* shared = nullptr;
};

// Both guarded by g_mutex, which is not held while the worker is asked.
constinit std::mutex g_mutex;
std::map<uintptr_t, Entry>& allocations() {
  static auto* const all = new std::map<uintptr_t, Entry>;
  return *all;
}
std::vector<Shared*>& shared_extents() {
  static auto* const all = new std::vector<Shared*>;
  return *all;
}

void record(uint64_t offset, size_t size, unsigned flags, Extent* own, Shared* shared, void*& pointer) {
  pointer = heap_address(offset);
  const auto base = reinterpret_cast<uintptr_t>(pointer);
  allocations()[base] = {{base, size, flags, memory_owner(), next_object_id()}, own, shared};
}

/// From memory that was registered in the same context: what another one registered goes when that one ends.
bool carve(size_t size, unsigned flags, void*& pointer) {
  const Context* owner = memory_owner();
  const std::lock_guard lock(g_mutex);
  for (Shared* shared : shared_extents()) {
    if (!is_open_in(*shared->extent, owner)) continue;
    const uint64_t at = shared->space.allocate(size, size >= kPage ? kPage : kGranule);
    if (at == RangeAllocator::kNone) continue;
    record(at, size, flags, nullptr, shared, pointer);
    return true;
  }
  return false;
}

/// Registers one again whose context has ended; false if there is none.
bool reopen_shared_extent() {
  Extent* closed = nullptr;
  {
    const std::lock_guard lock(g_mutex);
    for (const Shared* shared : shared_extents())
      if (closed == nullptr && !shared->extent->open.load(std::memory_order_acquire)) closed = shared->extent;
  }
  return closed != nullptr && reopen_extent(*closed) == CUDA_SUCCESS;
}

CUresult add_shared_extent(size_t size) {
  const Context* owner = memory_owner();
  size_t count = 0;
  {
    const std::lock_guard lock(g_mutex);
    for (const Shared* shared : shared_extents()) count += is_open_in(*shared->extent, owner);
  }
  uint64_t wanted = kSharedSizes[count < std::size(kSharedSizes) ? count : std::size(kSharedSizes) - 1];
  if (wanted < size) wanted = kSharedSizes[std::size(kSharedSizes) - 1];
  Extent* extent = nullptr;
  if (const CUresult result = open_extent(wanted, extent); result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(g_mutex);
  shared_extents().push_back(new Shared{extent, RangeAllocator(extent->offset, extent->size, kGranule)});
  return CUDA_SUCCESS;
}

CUresult allocate_own(size_t size, unsigned flags, void*& pointer) {
  Extent* extent = nullptr;
  if (const CUresult result = open_extent(size, extent); result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(g_mutex);
  record(extent->offset, size, flags, extent, nullptr, pointer);
  return CUDA_SUCCESS;
}

void release_piece(const Entry& entry) {
  const uint64_t offset = entry.shared->extent->offset;
  entry.shared->space.release(offset + (entry.facts.base - reinterpret_cast<uintptr_t>(heap_address(offset))));
}

/// The program's pinned memory of a context goes with it. Its extents: the shared ones stay for what else lies in them.
void free_pinned_of(Context& context) {
  std::vector<Extent*> own;
  {
    const std::lock_guard lock(g_mutex);
    std::erase_if(allocations(), [&](const auto& item) {
      const Entry& entry = item.second;
      if (entry.facts.context != &context) return false;
      if (entry.own != nullptr)
        own.push_back(entry.own);
      else
        release_piece(entry);
      return true;
    });
  }
  for (Extent* extent : own) close_extent(extent);
}

// Pieces freed while a stream captures: the context is not waited for then, so they are used again once nothing runs.
std::vector<Entry>& freed_while_capturing() {
  static auto* const all = new std::vector<Entry>;
  return *all;
}

void release_what_is_idle() {
  const Channel* channel = open_channel();
  if (channel == nullptr || !channel->is_idle()) return;
  const std::lock_guard lock(g_mutex);
  for (const Entry& entry : freed_while_capturing()) release_piece(entry);
  freed_while_capturing().clear();
}

/// Waits for what was submitted in the context; free when nothing runs. `over` is false where it did not wait, because
/// something is being captured.
CUresult wait_for_work(Context* context, bool& over) {
  const Channel* channel = open_channel();
  over = true;
  if (channel == nullptr) return CUDA_ERROR_NOT_INITIALIZED;
  if (channel->is_idle() || context == nullptr || !is_alive(*context)) return channel->health();
  Request request(api::ops::ContextSettle::kOp, api::ops::ContextSettle::kNeedsContext);
  request.use_context(*context);
  const CUresult result = request.call();
  over = result == CUDA_SUCCESS && request.reply().take<uint32_t>() != 0;
  return result;
}

}  // namespace

CUresult allocate_pinned(size_t size, unsigned flags, void*& pointer) {
  after_context_end(&free_pinned_of);
  release_what_is_idle();
  if (size > kSmall) return allocate_own(size, flags, pointer);
  if (carve(size, flags, pointer)) return CUDA_SUCCESS;
  while (reopen_shared_extent())
    if (carve(size, flags, pointer)) return CUDA_SUCCESS;
  if (add_shared_extent(size) == CUDA_SUCCESS && carve(size, flags, pointer)) return CUDA_SUCCESS;
  return allocate_own(size, flags, pointer);
}

CUresult free_pinned(void* pointer) {
  Entry entry;
  {
    const std::lock_guard lock(g_mutex);
    const auto found = allocations().find(reinterpret_cast<uintptr_t>(pointer));
    if (found == allocations().end()) return CUDA_ERROR_INVALID_VALUE;
    entry = found->second;
    allocations().erase(found);
  }
  if (entry.own != nullptr) return close_extent(entry.own);
  bool over = false;
  const CUresult result = wait_for_work(entry.facts.context, over);
  if (result != CUDA_SUCCESS) return result;  // still in use as far as we know: the piece is lost with the process
  const std::lock_guard lock(g_mutex);
  if (over)
    release_piece(entry);
  else
    freed_while_capturing().push_back(entry);
  return CUDA_SUCCESS;
}

bool find_pinned(uint64_t address, PinnedAllocation& found) {
  const std::lock_guard lock(g_mutex);
  auto next = allocations().upper_bound(address);
  if (next == allocations().begin()) return false;
  const PinnedAllocation& candidate = (--next)->second.facts;
  if (address - candidate.base >= candidate.size) return false;
  found = candidate;
  return true;
}

}  // namespace vgpu::shim
