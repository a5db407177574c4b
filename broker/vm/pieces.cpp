#include "broker/vm/pieces.hpp"

#include <fcntl.h>

#include <cerrno>
#include <system_error>

#include "broker/vm/shared_memory.hpp"
#include "common/abi/window_layout.h"
#include "common/base/log.hpp"

namespace vgpu::broker::vm {

base::Result<VmMemory> VmMemory::create(std::uint64_t size) {
  auto descriptor = create_shared_memory(size);
  if (!descriptor) return descriptor.error();
  VmMemory memory(size, inode_of(descriptor->get()));
  memory.memory_ = std::move(*descriptor);
  return memory;
}

VmMemory::VmMemory(std::uint64_t size, ino_t inode) : size_(size), inode_(inode), free_(0, size, VGPU_EXTENT_ALIGN) {}

bool VmMemory::attach(int descriptor) {
  if (inode_of(descriptor) != inode_ || !check_shared_memory(descriptor, size_)) return false;
  if (!memory_) memory_ = base::UniqueFd(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  return is_attached();
}

base::UniqueFd VmMemory::duplicate() const { return base::UniqueFd(fcntl(memory_.get(), F_DUPFD_CLOEXEC, 0)); }

Piece VmMemory::take(std::uint64_t size) {
  const auto offset = free_.allocate(size, VGPU_EXTENT_ALIGN);
  return offset == base::RangeAllocator::kNone ? Piece{} : Piece{offset, size};
}

bool VmMemory::claim(const Piece& piece) { return free_.claim(piece.offset, piece.size); }

void VmMemory::give_back(const Piece& piece) {
  const int rc = fallocate(memory_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(piece.offset),
                           static_cast<off_t>(piece.size));
  if (rc != 0) {
    // Never given to anybody else with the last one's bytes in it.
    log::error("cannot scrub {} bytes of a VM's window: {}; they stay unused until its next reset", piece.size,
               std::generic_category().message(errno));
    return;
  }
  free_.release(piece.offset);
}

}  // namespace vgpu::broker::vm
