// Physical memory as cuMemCreate makes it: a file in memory, so that it can be mapped at several places and, by its
// descriptor, in several processes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "common/api/cuda_types.hpp"
#include "worker/sim/memory/device_arena.hpp"

namespace vgpu::sim::device {

/// One piece. It goes when nobody refers to it: the process by its handle, or a mapping.
class PhysicalMemory {
 public:
  /// Null if there is no room.
  static std::shared_ptr<PhysicalMemory> make(memory::DeviceArena& arena, std::uint64_t size,
                                              const cuda::CUmemAllocationProp& properties);
  /// What another process made, by a descriptor of it, which stays the caller's; null if it is none.
  static std::shared_ptr<PhysicalMemory> import(memory::DeviceArena& arena, int file);
  ~PhysicalMemory();
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;

  int file() const { return file_; }
  std::uint64_t size() const { return size_; }
  std::uint64_t handle() const { return handle_; }
  const cuda::CUmemAllocationProp& properties() const { return properties_; }

 private:
  PhysicalMemory(memory::DeviceArena& arena, int file, std::uint64_t size, std::uint64_t charged,
                 const cuda::CUmemAllocationProp& properties);

  memory::DeviceArena& arena_;
  const int file_;
  const std::uint64_t size_;
  const std::uint64_t charged_;  ///< 0 if another process made it
  const std::uint64_t handle_;
  const cuda::CUmemAllocationProp properties_;
};

/// What the process refers to. Thread-safe.
class PhysicalMemories {
 public:
  using Pointer = std::shared_ptr<PhysicalMemory>;

  /// One more reference of the process.
  void retain(const Pointer& memory);
  /// One less; false if it had none.
  bool release(std::uint64_t handle);
  Pointer find(std::uint64_t handle) const;

  void note_mapping(std::uint64_t address, const Pointer& memory);
  void forget_mapping(std::uint64_t address);
  /// What is mapped at the start of a mapping.
  Pointer mapped_at(std::uint64_t address) const;

 private:
  struct Held {
    Pointer memory;
    std::uint64_t references = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Held> held_;         // by handle
  std::map<std::uint64_t, Pointer> mappings_;  // by address
};

}  // namespace vgpu::sim::device
