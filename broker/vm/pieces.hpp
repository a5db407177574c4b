// The memory of a VM and its pieces: which of it belongs to which channel. Bookkeeping only; nothing is mapped.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "common/base/range_allocator.hpp"
#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::broker::vm {

/// A range of a VM's memory; both multiples of VGPU_EXTENT_ALIGN.
struct Piece {
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  bool operator==(const Piece&) const = default;
};

class VmMemory {
 public:
  /// Fresh memory.
  static base::Result<VmMemory> create(std::uint64_t size);
  /// Memory of an earlier broker's, still to be shown to us (attach).
  VmMemory(std::uint64_t size, ino_t inode);

  std::uint64_t size() const { return size_; }
  ino_t inode() const { return inode_; }
  bool is_attached() const { return static_cast<bool>(memory_); }
  /// True if `descriptor` is this very memory, unchanged; takes a copy of it if we have none.
  bool attach(int descriptor);
  /// A descriptor of the memory, for somebody else to own.
  base::UniqueFd duplicate() const;
  int descriptor() const { return memory_.get(); }

  /// A piece of exactly `size` bytes, all zero; size 0 if there is no room.
  Piece take(std::uint64_t size);
  /// A piece as an earlier broker gave it out; false if it overlaps another or lies outside.
  bool claim(const Piece& piece);
  /// Scrubs it and makes it free. Nobody may use it any more.
  void give_back(const Piece& piece);

 private:
  base::UniqueFd memory_;
  std::uint64_t size_;
  ino_t inode_;
  base::RangeAllocator free_;
};

}  // namespace vgpu::broker::vm
