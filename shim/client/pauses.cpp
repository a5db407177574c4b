#include "shim/client/pauses.hpp"

#include <atomic>
#include <cstdint>

#include "shim/client/waiting.hpp"

namespace vgpu::shim {
namespace {

// The driver would wait for ever for work that waits for what it holds up. We need not: a pause ends by itself.
constexpr uint64_t kLongestNs = 1'000'000'000;

constinit std::atomic<uint32_t> g_pausing{0};  // threads in such calls; waiters sleep on it
constinit std::atomic<uint64_t> g_since{0};    // ns, when the first of them began

bool submits(api::Op op) {
  switch (op) {
    case api::Op::launch:
    case api::Op::graph_launch:
    case api::Op::host_function:
    case api::Op::event_record:
    case api::Op::fill:
    case api::Op::fill_sync:
    case api::Op::copy_to_device:
    case api::Op::copy_to_device_wait:
    case api::Op::copy_to_device_inline:
    case api::Op::copy_to_device_inline_wait:
    case api::Op::copy_to_host:
    case api::Op::copy_to_host_wait:
    case api::Op::copy_to_host_inline_wait:
    case api::Op::copy_on_device:
    case api::Op::copy_on_device_sync:
    case api::Op::copy_in_window:
    case api::Op::copy_2d:
    case api::Op::copy_box:
      return true;
    default:
      return false;
  }
}

}  // namespace

// Unloading a module holds up nobody in the driver.
bool pauses_others(api::Op op) {
  switch (op) {
    case api::Op::memory_free:
    case api::Op::extent_close:
    case api::Op::module_load:
    case api::Op::library_get_global:
    case api::Op::kernel_get_function:
    case api::Op::launch_sync:
      return true;
    default:
      return false;
  }
}

Pause::Pause(bool begin) : begun_(begin) {
  if (begin && g_pausing.fetch_add(1, std::memory_order_relaxed) == 0)
    g_since.store(monotonic_ns(), std::memory_order_relaxed);
}

Pause::~Pause() {
  if (begun_ && g_pausing.fetch_sub(1, std::memory_order_relaxed) == 1) futex_wake(&g_pausing);
}

void wait_while_paused(api::Op op) {
  uint32_t seen = g_pausing.load(std::memory_order_relaxed);
  if (seen == 0 || !submits(op)) [[likely]]
    return;
  while (seen != 0 && monotonic_ns() < g_since.load(std::memory_order_relaxed) + kLongestNs) {
    futex_wait(&g_pausing, seen);
    seen = g_pausing.load(std::memory_order_relaxed);
  }
}

}  // namespace vgpu::shim
