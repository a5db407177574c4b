// A pool of stream-ordered memory: an account, since the arena does the allocating.
#pragma once

#include <algorithm>
#include <cstdint>
#include <mutex>

namespace vgpu::sim::device {

class MemoryPool {
 public:
  MemoryPool(std::uint64_t pool_handle, std::uint64_t limit, unsigned pool_device)
      : handle(pool_handle), device(pool_device), limit_(limit) {}

  /// False if the pool's own limit would be passed.
  bool charge(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    if (limit_ != 0 && used_ + bytes > limit_) return false;
    used_ += bytes;
    used_high_ = std::max(used_high_, used_);
    reserved_ = std::max(reserved_, rounded(used_));
    reserved_high_ = std::max(reserved_high_, reserved_);
    return true;
  }
  void discharge(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    used_ -= std::min(bytes, used_);
    if (reserved_ > release_threshold_)
      reserved_ = std::max(rounded(used_), std::min(reserved_, rounded(release_threshold_)));
  }
  void trim(std::uint64_t keep) {
    const std::lock_guard lock(mutex_);
    reserved_ = std::max(rounded(used_), std::min(reserved_, rounded(keep)));
  }

  struct State {
    std::uint64_t used, used_high, reserved, reserved_high, release_threshold;
  };
  State state() const {
    const std::lock_guard lock(mutex_);
    return {used_, used_high_, reserved_, reserved_high_, release_threshold_};
  }
  void set_release_threshold(std::uint64_t bytes) {
    const std::lock_guard lock(mutex_);
    release_threshold_ = bytes;
  }
  void reset_high() {
    const std::lock_guard lock(mutex_);
    used_high_ = used_;
    reserved_high_ = reserved_;
  }

  const std::uint64_t handle;
  const unsigned device;            ///< whose memory it gives
  bool shareable = false;           ///< with other processes
  std::uint64_t imported_from = 0;  ///< handle of the pool in its own process
  int reuse[3] = {1, 1, 1};         ///< the three reuse switches; kept, without effect

 private:
  static std::uint64_t rounded(std::uint64_t bytes) {
    constexpr std::uint64_t chunk = 32ull << 20;
    return bytes > ~0ull - chunk ? bytes : (bytes + chunk - 1) / chunk * chunk;
  }

  mutable std::mutex mutex_;
  const std::uint64_t limit_;
  std::uint64_t used_ = 0, used_high_ = 0, reserved_ = 0, reserved_high_ = 0, release_threshold_ = 0;
};

}  // namespace vgpu::sim::device
