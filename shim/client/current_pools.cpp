#include "shim/client/current_pools.hpp"

#include <array>
#include <atomic>

namespace vgpu::shim {
namespace {
constexpr int kMaxDevices = 64;
constinit std::array<std::atomic<CUmemoryPool>, kMaxDevices> g_chosen{};
}  // namespace

CUmemoryPool chosen_pool(CUdevice device) {
  return device < 0 || device >= kMaxDevices ? nullptr
                                             : g_chosen[static_cast<size_t>(device)].load(std::memory_order_relaxed);
}

void choose_pool(CUdevice device, CUmemoryPool pool) {
  if (device >= 0 && device < kMaxDevices) g_chosen[static_cast<size_t>(device)].store(pool, std::memory_order_relaxed);
}

void forget_pool(CUmemoryPool pool) {
  for (auto& chosen : g_chosen)
    if (CUmemoryPool expected = pool; expected != nullptr)
      chosen.compare_exchange_strong(expected, nullptr, std::memory_order_relaxed);
}

}  // namespace vgpu::shim
