// Device memory. A device address lies in a range that the host process has reserved without access; the bytes are in a
// second, private mapping, which only the interpreter and the copies use. So a host program that follows a device
// pointer faults. Thread-safe: allocations under a mutex; the table of valid bytes is read by running kernels without
// it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace vgpu::sim::memory {

/// Owns one anonymous mapping.
class Mapping {
 public:
  Mapping() = default;
  /// `size` bytes, or an empty mapping if there is no room. Pages come into being when touched. With `file` they are
  /// the file's, which others may map too.
  Mapping(std::size_t size, bool accessible, int file = -1);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// An allocation as its owner sees it. `id` is never used twice.
struct Allocation {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
  std::uint64_t id = 0;
  std::uint64_t owner = 0;  ///< what the owner put there: a context's id, a pool's id
  bool stream_ordered = false;
  bool imported = false;  ///< another process's, mapped here
  bool mapped = false;    ///< physical memory at a reserved address; `owner` is the reservation then
  bool going = false;     ///< a stream will free it
};

class DeviceArena {
 public:
  /// Validity is kept per granule: how many of its first bytes may be touched.
  static constexpr std::uint64_t granule = 256;

  explicit DeviceArena(std::uint64_t size);
  ~DeviceArena();
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;

  bool is_open() const { return window_.data() != nullptr && bytes_.data() != nullptr && valid_.data() != nullptr; }
  std::uint64_t size() const { return size_; }
  std::uint64_t used() const;

  /// Memory filled with a pattern; nothing if there is no room. Not touchable before set_live().
  std::optional<Allocation> allocate(std::uint64_t size, std::uint64_t owner, bool stream_ordered);
  /// What lies behind the arena's bytes, by which other processes map them, and where in it an address is.
  int file() const { return file_; }
  std::uint64_t offset_of(std::uint64_t address) const { return address - base(); }
  /// Maps `size` bytes at `offset` of another arena's file; touchable at once. Its address, or nothing if there is no
  /// room.
  std::optional<std::uint64_t> import(int file, std::uint64_t offset, std::uint64_t size, std::uint64_t owner);
  /// Gives an allocation's address range back; the address must be its start.
  bool release(std::uint64_t address);
  /// Poisons and gives back all allocations of an owner.
  void release_owned(std::uint64_t owner);
  /// Notes that a stream will free what begins at `address`; false if that was noted before.
  bool claim(std::uint64_t address);
  /// Makes the bytes touchable, or poisons them: every later access fails.
  void set_live(const Allocation& allocation, bool live);

  // Addresses without memory, and memory that is put there. All sizes are multiples of `physical_granule`.
  static constexpr std::uint64_t physical_granule = 2u << 20;
  /// Addresses at a multiple of `alignment`, at `wanted` if that is free; nothing if there is no room.
  std::optional<std::uint64_t> reserve(std::uint64_t size, std::uint64_t alignment, std::uint64_t wanted);
  /// False unless exactly this is reserved and nothing is mapped in it.
  bool unreserve(std::uint64_t address, std::uint64_t size);
  /// Maps `size` bytes of a file at reserved addresses, not touchable before set_live(); false if the addresses are not
  /// reserved or taken.
  bool map(std::uint64_t address, std::uint64_t size, int file);
  /// False unless the range is made up of whole mappings.
  bool unmap(std::uint64_t address, std::uint64_t size);
  /// The mappings that make up exactly this range; empty if none do.
  std::vector<Allocation> mappings_in(std::uint64_t address, std::uint64_t size) const;
  /// Counts physical memory; false if there is not as much.
  bool charge(std::uint64_t size);
  void discharge(std::uint64_t size);

  /// The allocation that holds `address`.
  std::optional<Allocation> find(std::uint64_t address) const;
  bool contains(std::uint64_t address) const { return address - base() < size_; }

  /// True if the range lies in one allocation, or in mappings side by side.
  bool covers(std::uint64_t address, std::uint64_t size) const;

  /// Where the bytes of a device address are, if all of [address, address + size) may be touched. `size` <= 32, not
  /// crossing a granule: true for every naturally aligned access.
  std::byte* resolve(std::uint64_t address, std::uint32_t size) const {
    const std::uint64_t offset = address - base();
    if (offset >= size_) return nullptr;
    const auto* valid = reinterpret_cast<const std::uint16_t*>(valid_.data()) + offset / granule;
    if (__atomic_load_n(valid, __ATOMIC_RELAXED) < offset % granule + size) return nullptr;
    return bytes_.data() + offset;
  }
  /// The same for a range of any length.
  std::byte* resolve_range(std::uint64_t address, std::uint64_t size) const;

 private:
  /// Where `length` free bytes begin at a multiple of `alignment`, taken; 0 if there are none.
  std::uint64_t take(std::uint64_t length, std::uint64_t alignment, std::uint64_t wanted);
  void take_from(std::map<std::uint64_t, std::uint64_t>::iterator room, std::uint64_t begin, std::uint64_t length);
  void give_back(std::uint64_t begin, std::uint64_t length);

  std::uint64_t base() const { return reinterpret_cast<std::uint64_t>(window_.data()); }

  /// Puts the arena's own bytes back where others were mapped.
  void restore(std::uint64_t address, std::uint64_t size);

  std::uint64_t size_ = 0;
  int file_ = -1;
  Mapping window_;
  Mapping bytes_;
  Mapping valid_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Allocation> allocations_;  ///< by address
  std::map<std::uint64_t, std::uint64_t> free_;      ///< address -> length, neighbours merged
  std::map<std::uint64_t, std::uint64_t> reserved_;  ///< address -> length
  std::uint64_t used_ = 0;
  std::uint64_t next_id_ = 1;
};

}  // namespace vgpu::sim::memory
