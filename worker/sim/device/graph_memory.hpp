// Memory that graphs allocate while they run: an address is fixed when its node is made, and can be touched from the
// allocation on until it is freed, by a graph or by a call.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "worker/sim/device/memory_pool.hpp"
#include "worker/sim/memory/device_arena.hpp"

namespace vgpu::sim::device {

class GraphMemory;

/// The address of a node. Nodes hold it, and all that is made of them; it is given back with the last of them, or
/// later, when it is freed.
class GraphAddress {
 public:
  GraphAddress(GraphMemory& memory, std::uint64_t fixed) : address(fixed), memory_(memory) {}
  GraphAddress(const GraphAddress&) = delete;
  GraphAddress& operator=(const GraphAddress&) = delete;
  ~GraphAddress();
  const std::uint64_t address;

 private:
  GraphMemory& memory_;
};

class GraphMemory {
 public:
  explicit GraphMemory(memory::DeviceArena& arena) : arena_(arena) {}

  /// Null if there is no room.
  std::shared_ptr<GraphAddress> make(std::uint64_t size, unsigned device);
  bool is_address(std::uint64_t address) const;

  // In the order of the program's calls: whether something is allocated there once all that was submitted has run.
  bool is_outstanding(std::uint64_t address) const;
  void set_outstanding(std::uint64_t address, bool outstanding);

  // In the order of the work. What is allocated there already is lost.
  void allocate(std::uint64_t address);
  void free(std::uint64_t address);

  /// Of all graphs that allocate on this device.
  MemoryPool& account(unsigned device);

 private:
  friend class GraphAddress;
  struct Entry {
    memory::Allocation block;
    unsigned device = 0;
    bool held = true, outstanding = false, live = false;
  };
  using Entries = std::map<std::uint64_t, Entry>;
  MemoryPool& locked_account(unsigned device);
  void end(Entry& entry);
  void drop_unless_used(Entries::iterator entry);
  void let_go(std::uint64_t address);

  memory::DeviceArena& arena_;
  mutable std::mutex mutex_;
  Entries entries_;
  std::map<unsigned, std::unique_ptr<MemoryPool>> accounts_;
};

}  // namespace vgpu::sim::device
