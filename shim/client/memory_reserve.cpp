#include "shim/client/memory_reserve.hpp"

#include <cstdint>
#include <cstdlib>
#include <mutex>

namespace vgpu::shim {

constinit std::atomic<bool> detail::memory_is_short{false};

namespace {

// Above what several threads' calls need at once; images and other bulk never come from operator new.
constexpr size_t kReserve = 512 * 1024;
// As much as malloc must have again before calls go on.
constexpr size_t kEnough = 64 * 1024;

alignas(64) constinit std::byte g_reserve[kReserve] = {};
constinit std::mutex g_mutex;  // guards the two below
constinit size_t g_used = 0;
constinit size_t g_live = 0;  // pieces that are out; at 0 the reserve is whole again

void* take_from_reserve(size_t size, size_t alignment) {
  detail::memory_is_short.store(true, std::memory_order_relaxed);
  const std::lock_guard lock(g_mutex);
  const size_t at = (g_used + alignment - 1) / alignment * alignment;
  if (at > kReserve || size > kReserve - at) return nullptr;
  g_used = at + size;
  ++g_live;
  return g_reserve + at;
}

bool is_of_reserve(const void* memory) {
  const auto at = reinterpret_cast<uintptr_t>(memory), begin = reinterpret_cast<uintptr_t>(g_reserve);
  return at >= begin && at - begin < kReserve;
}

}  // namespace

void* allocate(size_t size, size_t alignment) {
  void* memory = nullptr;
  if (alignment <= alignof(std::max_align_t))
    memory = std::malloc(size == 0 ? 1 : size);
  else if (::posix_memalign(&memory, alignment, size) != 0)
    memory = nullptr;
  return memory != nullptr ? memory : take_from_reserve(size, alignment);
}

void release(void* memory) {
  if (!is_of_reserve(memory)) return std::free(memory);
  const std::lock_guard lock(g_mutex);
  if (--g_live == 0) g_used = 0;
}

bool refill_reserve() {
  void* probe = std::malloc(kEnough);
  if (probe == nullptr) return false;
  std::free(probe);
  const std::lock_guard lock(g_mutex);
  // Pieces that stay out (a table's node) are no reason to refuse for ever; half of the reserve serves a call as well.
  if (g_used > kReserve / 2) return false;
  detail::memory_is_short.store(false, std::memory_order_relaxed);
  return true;
}

}  // namespace vgpu::shim
