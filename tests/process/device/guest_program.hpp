// A program in the virtual machine that has a channel: as much of the shim as it takes to be answered.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>

#include "common/ring/producer.hpp"
#include "common/shm/window.hpp"
#include "tests/process/device/virtual_machine.hpp"

namespace vgpu::test {

class GuestProgram {
 public:
  /// Opens a channel and maps it at the candidate of that number: programs of one test need different ones.
  GuestProgram(VirtualMachine& vm, unsigned candidate);

  unsigned channel() const { return channel_; }
  pid_t worker() const { return worker_; }
  const shm::Window& window() const { return window_; }
  std::uint64_t offset() const { return offset_; }  // of the channel in BAR1
  /// Appends a record and waits for its answer: the number of GPUs, or nothing if no answer comes before the channel is
  /// lost.
  std::optional<std::uint32_t> count_gpus();

 private:
  VirtualMachine& vm_;
  unsigned channel_ = 0;
  pid_t worker_ = 0;
  std::uint64_t offset_ = 0;
  shm::Window window_;
  std::unique_ptr<ring::Producer> producer_;
  std::uint32_t sequence_ = 0;
};

}  // namespace vgpu::test
