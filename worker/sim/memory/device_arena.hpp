// Device memory, of all devices of the process. A device address lies in a range that the host process has reserved
// without access; the bytes are in a second, private mapping, which only the interpreter and the copies use. So a host
// program that follows a device pointer faults. Thread-safe: allocations under a mutex; the table of valid bytes is
// read by running kernels without it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
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

/// As many as the table of valid bytes has room for.
constexpr unsigned max_devices = 6;

/// Who touches memory, as bits: the device itself, and those whose memory it may use as its peers'.
struct Reach {
  unsigned device = ~0u;
  unsigned peers = ~0u;
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
  unsigned device = 0;    ///< whose memory it is
};

class DeviceArena {
 public:
  /// Validity is kept per granule: how many of its first bytes may be touched, and by which devices.
  static constexpr std::uint64_t granule = 256;

  /// Each device has `size` bytes; addresses are common to all.
  explicit DeviceArena(std::uint64_t size, unsigned devices = 1);
  ~DeviceArena();
  DeviceArena(const DeviceArena&) = delete;
  DeviceArena& operator=(const DeviceArena&) = delete;

  bool is_open() const { return window_.data() != nullptr && bytes_.data() != nullptr && valid_.data() != nullptr; }
  /// Of one device.
  std::uint64_t capacity() const { return capacity_; }
  std::uint64_t used(unsigned device = 0) const;

  /// Memory filled with a pattern; nothing if there is no room. Not touchable before set_live().
  std::optional<Allocation> allocate(std::uint64_t size, std::uint64_t owner, bool stream_ordered, unsigned device = 0);
  /// What lies behind the arena's bytes, by which other processes map them, and where in it an address is.
  int file() const { return file_; }
  std::uint64_t offset_of(std::uint64_t address) const { return address - base(); }
  /// Maps `size` bytes at `offset` of another arena's file, memory of `device` that all may touch at once. Its address,
  /// or nothing if there is no room.
  std::optional<std::uint64_t> import(int file, std::uint64_t offset, std::uint64_t size, std::uint64_t owner,
                                      unsigned device = 0);
  /// Gives an allocation's address range back; the address must be its start.
  bool release(std::uint64_t address);
  /// Poisons and gives back all allocations of an owner.
  void release_owned(std::uint64_t owner);
  /// Notes that a stream will free what begins at `address`; false if that was noted before.
  bool claim(std::uint64_t address);
  /// Makes the bytes touchable by their device and its peers, or poisons them: every later access fails.
  void set_live(const Allocation& allocation, bool live);
  /// Makes a mapping touchable by exactly these devices (bits): peers do not count.
  void set_access(const Allocation& mapping, unsigned devices);
  /// The devices that may touch a mapping.
  unsigned access(const Allocation& mapping) const;

  // Addresses without memory, and memory that is put there. All sizes are multiples of `physical_granule`.
  static constexpr std::uint64_t physical_granule = 2u << 20;
  /// Addresses at a multiple of `alignment`, at `wanted` if that is free; nothing if there is no room.
  std::optional<std::uint64_t> reserve(std::uint64_t size, std::uint64_t alignment, std::uint64_t wanted);
  /// False unless exactly this is reserved and nothing is mapped in it.
  bool unreserve(std::uint64_t address, std::uint64_t size);
  /// Maps `size` bytes of a file at reserved addresses, not touchable before set_live(); false if the addresses are not
  /// reserved or taken.
  bool map(std::uint64_t address, std::uint64_t size, int file, unsigned device = 0);
  /// Takes away what is mapped in a range.
  void unmap(std::uint64_t address, std::uint64_t size);
  /// The mappings in this range; nothing if it is not reserved, or one of them lies in it only in part.
  std::optional<std::vector<Allocation>> mappings_in(std::uint64_t address, std::uint64_t size) const;
  /// The reservation that holds an address: its start and length.
  std::optional<std::pair<std::uint64_t, std::uint64_t>> reservation_of(std::uint64_t address) const;
  /// Counts physical memory of a device; false if there is not as much.
  bool charge(std::uint64_t size, unsigned device = 0);
  void discharge(std::uint64_t size, unsigned device = 0);

  /// The allocation that holds `address`.
  std::optional<Allocation> find(std::uint64_t address) const;
  bool contains(std::uint64_t address) const { return address - base() < size_; }

  /// True if the range lies in one allocation, or in mappings side by side.
  bool covers(std::uint64_t address, std::uint64_t size) const;

  /// Where the bytes of a device address are, if all of [address, address + size) may be touched. `size` <= 32, not
  /// crossing a granule: true for every naturally aligned access.
  std::byte* resolve(std::uint64_t address, std::uint32_t size, Reach reach = {}) const {
    const std::uint64_t offset = address - base();
    if (offset >= size_) return nullptr;
    const unsigned valid = __atomic_load_n(valid_at(address), __ATOMIC_RELAXED);
    if ((valid & length_bits) < offset % granule + size) return nullptr;
    const unsigned who = (valid & by_mapping) != 0 ? reach.device : reach.device | reach.peers;
    if ((valid >> device_shift & device_mask & who) == 0) return nullptr;
    return bytes_.data() + offset;
  }
  /// The same for a range of any length.
  std::byte* resolve_range(std::uint64_t address, std::uint64_t size, Reach reach = {}) const;

 private:
  // What the table says of a granule: the length that may be touched, the devices that may, and whether only they may.
  static constexpr unsigned length_bits = 0x1ff, device_shift = 9, device_mask = 0x3f, by_mapping = 0x8000;
  static_assert(granule <= length_bits && 1u << max_devices == device_mask + 1);

  const std::uint16_t* valid_at(std::uint64_t address) const {
    return reinterpret_cast<const std::uint16_t*>(valid_.data()) + (address - base()) / granule;
  }
  void mark(const Allocation& allocation, unsigned who);
  /// Where `length` free bytes begin at a multiple of `alignment`, taken; 0 if there are none.
  std::uint64_t take(std::uint64_t length, std::uint64_t alignment, std::uint64_t wanted);
  void take_from(std::map<std::uint64_t, std::uint64_t>::iterator room, std::uint64_t begin, std::uint64_t length);
  void give_back(std::uint64_t begin, std::uint64_t length);

  std::uint64_t base() const { return reinterpret_cast<std::uint64_t>(window_.data()); }

  /// Puts the arena's own bytes back where others were mapped.
  void restore(std::uint64_t address, std::uint64_t size);

  std::uint64_t capacity_ = 0;
  std::uint64_t size_ = 0;
  int file_ = -1;
  Mapping window_;
  Mapping bytes_;
  Mapping valid_;
  mutable std::mutex mutex_;
  std::map<std::uint64_t, Allocation> allocations_;  ///< by address
  std::map<std::uint64_t, std::uint64_t> free_;      ///< address -> length, neighbours merged
  std::map<std::uint64_t, std::uint64_t> reserved_;  ///< address -> length
  std::array<std::uint64_t, max_devices> used_{};    ///< by device
  std::uint64_t next_id_ = 1;
};

}  // namespace vgpu::sim::memory
