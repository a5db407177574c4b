// Memory that the client maps itself: the address ranges it reserved, the physical memory it made, and what of it lies
// where. Keeps count of references as the driver does, so that a handle stays known exactly as long as the driver's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "worker/objects/device_bytes.hpp"
#include "worker/objects/handle_table.hpp"
#include "worker/objects/limits.hpp"

namespace vgpu::worker {

using namespace vgpu::cuda;

class VirtualMemory {
 public:
  /// Physical memory. It is gone when the client has let go of it and it is mapped nowhere.
  struct Physical {
    CUmemGenericAllocationHandle real = 0;
    uint64_t size = 0;
    uint64_t references = 0;  ///< the client's: cuMemCreate and each cuMemRetainAllocationHandle
    uint64_t mappings = 0;
    unsigned device = 0;
  };
  struct Mapping {
    uint64_t size = 0;
    uint64_t memory = 0;       ///< handle
    uint64_t reservation = 0;  ///< its base
  };

  // Reserved addresses.
  bool may_reserve() const { return reservations_.size() < kMostReservations; }
  void reserve(uint64_t base, uint64_t size) { reservations_[base] = size; }
  /// True if exactly this range is reserved and nothing is mapped in it.
  bool is_free(uint64_t base, uint64_t size) const;
  void release(uint64_t base) { reservations_.erase(base); }
  /// The reservation that all of [address, address + size) lies in; 0 if there is none.
  uint64_t reservation_of(uint64_t address, uint64_t size) const;

  // Physical memory.
  HandleTable<Physical>& memories() { return memories_; }
  /// Bound with one reference.
  void make(uint64_t handle, CUmemGenericAllocationHandle real, uint64_t size, unsigned device);
  /// The client let go of one reference.
  void let_go(uint64_t handle);

  // Mappings.
  void map(uint64_t address, Mapping mapping);
  /// The mapping that holds the address; null if there is none.
  const Mapping* mapping_of(uint64_t address) const;
  /// The starts of the mappings in [address, address + size); nothing if one of them lies in it only in part.
  std::optional<std::vector<uint64_t>> mappings_in(uint64_t address, uint64_t size) const;
  void unmap(uint64_t address);

  /// Bytes of physical memory: what a quota counts.
  uint64_t charged() const { return charged_.total(); }
  uint64_t charged_on(size_t device) const { return charged_.of(device); }

 private:
  void forget_if_unused(uint64_t handle, const Physical& physical);

  std::map<uint64_t, uint64_t> reservations_;  // base -> size
  std::map<uint64_t, Mapping> mappings_;       // by address
  HandleTable<Physical> memories_{wire::Kind::memory, kMostMemories};
  DeviceBytes charged_;
};

}  // namespace vgpu::worker
