#include "shim/client/pools.hpp"

#include <array>
#include <atomic>

#include "shim/client/startup.hpp"

namespace vgpu::shim {
namespace {

constexpr int kMaxDevices = 64;
constinit std::array<std::atomic<CUmemoryPool>, kMaxDevices> current{};

bool is_in_table(CUdevice device) { return is_device(device) && device < kMaxDevices; }

}  // namespace

CUmemoryPool current_pool(CUdevice device) {
  return is_in_table(device) ? current[static_cast<size_t>(device)].load(std::memory_order_relaxed) : nullptr;
}

bool set_current_pool(CUdevice device, CUmemoryPool pool) {
  if (!is_in_table(device)) return false;
  current[static_cast<size_t>(device)].store(pool, std::memory_order_relaxed);
  return true;
}

void forget_pool(CUmemoryPool pool) {
  for (auto& one : current) {
    CUmemoryPool expected = pool;
    one.compare_exchange_strong(expected, nullptr, std::memory_order_relaxed);
  }
}

}  // namespace vgpu::shim
