#include "worker/sim/exec/output.hpp"

#include <cstdio>

namespace vgpu::sim::exec {

void Output::print(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (out_.size() + text.size() > capacity_) {
    dropped_ = true;
    return;
  }
  out_ += text;
}

void Output::complain(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (err_.size() + text.size() <= capacity_) err_ += text;
}

void Output::flush() {
  const std::lock_guard lock(mutex_);
  if (dropped_) err_ += "vgpu-simcuda: device printf output was dropped: raise CU_LIMIT_PRINTF_FIFO_SIZE\n";
  dropped_ = false;
  if (!out_.empty()) {
    std::fwrite(out_.data(), 1, out_.size(), stdout);
    std::fflush(stdout);
    out_.clear();
  }
  if (!err_.empty()) {
    std::fwrite(err_.data(), 1, err_.size(), stderr);
    err_.clear();
  }
}

void Output::set_capacity(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

}  // namespace vgpu::sim::exec
