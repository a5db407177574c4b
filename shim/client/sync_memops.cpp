#include "shim/client/sync_memops.hpp"

#include <atomic>
#include <mutex>
#include <set>

#include "shim/client/device_memory.hpp"

namespace vgpu::shim {
namespace {

constinit std::mutex g_mutex;  // guards the set
constinit std::atomic<bool> g_any{false};
/// Never destroyed: calls may come after static destructors.
std::set<uint64_t>& buffers() {
  static auto* const all = new std::set<uint64_t>;
  return *all;
}

}  // namespace

void set_sync_memops(uint64_t buffer_id, bool on) {
  const std::lock_guard lock(g_mutex);
  if (on)
    buffers().insert(buffer_id);
  else
    buffers().erase(buffer_id);
  g_any.store(!buffers().empty(), std::memory_order_relaxed);
}

bool has_sync_memops(uint64_t buffer_id) {
  if (!g_any.load(std::memory_order_relaxed)) return false;
  const std::lock_guard lock(g_mutex);
  return buffers().contains(buffer_id);
}

bool must_synchronize(uint64_t address) {
  if (!g_any.load(std::memory_order_relaxed)) return false;
  DeviceAllocation allocation;
  return find_device_memory(address, allocation) && has_sync_memops(allocation.buffer_id);
}

}  // namespace vgpu::shim
