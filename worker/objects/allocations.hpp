// The device-visible memory that this client owns, by range. A copy or fill that leaves it is refused: the driver would
// otherwise take an address of the worker's own memory for host memory.
#pragma once

#include <cstdint>
#include <map>

#include "worker/objects/device_bytes.hpp"
#include "worker/objects/limits.hpp"

namespace vgpu::worker {

/// `pool_imported`: memory of another process's pool. `graph`: an address at which graphs allocate.
enum class Memory : uint8_t { device, pool, global, window, mapped, imported, pool_imported, graph };

class Allocations {
 public:
  struct Range {
    uint64_t size = 0;
    Memory kind = Memory::device;
    uint64_t context = 0;
    uint64_t owner = 0;  ///< library or module of a global; the reservation that mapped memory lies in; the driver's
                         ///< graph whose node allocates
    unsigned device = 0;
  };

  /// Graphs may allocate at one address at different times: what counts is the largest.
  void add(uint64_t base, Range range);
  /// No more may be added: asked before the driver is.
  bool is_full() const { return ranges_.size() >= kMostRanges; }
  /// The range that begins at `base`; null if none does.
  const Range* at(uint64_t base) const;
  /// The range that [address, address + size) lies in, of memory of graphs the nearest one; null if none.
  const Range* holding(uint64_t address, uint64_t size = 1) const;
  bool remove(uint64_t base);
  /// True if [address, address + size) lies inside one range. Two adjacent ranges are not one: the driver refuses such
  /// copies; but what is mapped side by side in one reservation is.
  bool covers(uint64_t address, uint64_t size) const { return holding(address, size) != nullptr; }
  /// True if any byte of [address, address + size) belongs to a range.
  bool overlaps(uint64_t address, uint64_t size) const;
  template <typename Drop>
  void remove_if(Drop drop) {
    for (auto entry = ranges_.begin(); entry != ranges_.end();) {
      const uint64_t base = entry->first;
      const bool gone = drop(base, entry->second);
      ++entry;
      if (gone) remove(base);
    }
  }
  /// Memory without an address that the client could name: arrays.
  void charge(unsigned device, uint64_t size) { charged_.add(device, size); }
  void discharge(unsigned device, uint64_t size) { charged_.remove(device, size); }
  /// How many ranges are addresses of graphs.
  size_t graph_ranges() const { return graph_ranges_; }
  /// Bytes of ordinary and pool memory, of arrays and of what graphs allocate: what a quota counts.
  uint64_t charged() const { return charged_.total(); }
  uint64_t charged_on(size_t device) const { return charged_.of(device); }
  /// Bytes of the window that are registered with the driver.
  uint64_t pinned() const { return pinned_; }

 private:
  bool holds(uint64_t base, const Range& range, uint64_t address, uint64_t size) const;
  /// True if at least `size` bytes are mapped behind a mapped range, in the same reservation.
  bool continues(uint64_t base, const Range& range, uint64_t size) const;

  std::map<uint64_t, Range> ranges_;
  DeviceBytes charged_;
  uint64_t pinned_ = 0;
  size_t graph_ranges_ = 0;
};

}  // namespace vgpu::worker
