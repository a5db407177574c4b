// Host memory that kernels may touch: what cuMemHostAlloc made and what cuMemHostRegister was given. Its device address
// is its host address. Thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <shared_mutex>
#include <vector>

namespace vgpu::sim::memory {

struct HostRange {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::uint64_t id = 0;
  std::uint64_t context = 0;
  unsigned flags = 0;
  bool allocated = false;  ///< by cuMemHostAlloc, and so freed by cuMemFreeHost

  bool contains(std::uint64_t at, std::uint64_t length) const {
    return at - address < size && length <= size - (at - address);
  }
};

/// Memory for cuMemHostAlloc, whole pages; null if there is none.
void* allocate_host(std::size_t size);
void free_host(const HostRange& range);

class HostRanges {
 public:
  /// False if it overlaps a known range.
  bool add(HostRange range);
  std::optional<HostRange> remove(std::uint64_t address);
  /// Takes out all ranges of a context.
  std::vector<HostRange> remove_owned(std::uint64_t context);
  std::optional<HostRange> find(std::uint64_t address) const;
  /// True if [address, address + size) meets a range without lying in it: the driver refuses such copies.
  bool straddles(std::uint64_t address, std::uint64_t size) const;

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::uint64_t, HostRange> ranges_;
  std::uint64_t next_id_ = 1ull << 40;
};

}  // namespace vgpu::sim::memory
