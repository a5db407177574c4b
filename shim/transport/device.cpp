#include "shim/transport/device.hpp"

#include <errno.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>

#include "common/abi/device_registers.h"
#include "shim/client/waiting.hpp"
#include "shim/transport/mmio.hpp"

namespace vgpu::shim::transport {
namespace {

// A read of a register leaves the virtual machine: who waits in short sleeps need not ask every time.
constexpr uint64_t kLookAgainNs = 5'000'000;

class Device final : public Transport {
 public:
  Device(control::Connection connection, uint8_t* page, const uint8_t* registers)
      : connection_(std::move(connection)), page_(page), registers_(registers), generation_(generation()) {}

  int window_fd() const override { return connection_.window.get(); }
  uint64_t window_offset() const override { return connection_.window_offset; }
  uint64_t window_size() const override { return connection_.window_size; }
  uint64_t window_capacity() const override { return connection_.window_capacity; }
  const std::vector<control::AddressCandidate>& candidates() const override { return connection_.candidates; }
  uint64_t client_id() const override { return connection_.client_id; }
  bool has_futex() const override { return false; }  // the kernel has no page behind a BAR to hash: EFAULT

  bool has_lost_worker() const override {
    if (lost_.load(std::memory_order_relaxed)) return true;
    const uint64_t now = monotonic_ns();
    if (now < next_look_.load(std::memory_order_relaxed)) return false;
    next_look_.store(now + kLookAgainNs, std::memory_order_relaxed);
    // Lost, given back by a reset (free), taken back, or no device any more (all ones).
    const uint32_t state = load_register(page_ + VGPU_PAGE_STATE);
    // In another life of the device a channel of this number is somebody else's.
    const bool is_ours = generation() == generation_;
    if (is_ours && (state == VGPU_CHANNEL_OPEN || state == VGPU_CHANNEL_OPENING)) return false;
    lost_.store(true, std::memory_order_relaxed);
    return true;
  }

  // The store to the ring before it and this one both go to uncached memory, or are ordered by the caller's fence.
  void ring_doorbell(uint32_t number) const override { store_register(page_ + VGPU_PAGE_DOORBELL, number); }

 private:
  uint32_t generation() const { return load_register(registers_ + (VGPU_REG_GENERATION - VGPU_REG_MAGIC)); }

  control::Connection connection_;
  // Pages of BAR0, mapped for the life of the process, as the channel is: the channel's own, and the device's.
  uint8_t* const page_;
  const uint8_t* const registers_;
  const uint32_t generation_;
  mutable std::atomic<bool> lost_{false};
  mutable std::atomic<uint64_t> next_look_{0};
};

uint8_t* map_page(int bar, uint64_t offset, int protection) {
  void* page = ::mmap(nullptr, VGPU_CHANNEL_PAGE_SIZE, protection, MAP_SHARED, bar, static_cast<off_t>(offset));
  if (page == MAP_FAILED) return nullptr;
  ::madvise(page, VGPU_CHANNEL_PAGE_SIZE, MADV_DONTFORK);
  return static_cast<uint8_t*>(page);
}

}  // namespace

base::Result<std::unique_ptr<Transport>> make_device(control::Connection connection) {
  const int bar = connection.doorbell.get();
  uint8_t* const page = map_page(bar, connection.doorbell_offset, PROT_READ | PROT_WRITE);
  const uint8_t* const registers = page == nullptr ? nullptr : map_page(bar, VGPU_REG_MAGIC, PROT_READ);
  if (registers == nullptr)
    return base::Error{errno, std::string("cannot map the device's registers: ") + std::strerror(errno)};
  return std::unique_ptr<Transport>(new Device(std::move(connection), page, registers));
}

}  // namespace vgpu::shim::transport
