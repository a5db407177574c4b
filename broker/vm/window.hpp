// A client's window as the broker has it: the first piece of its channel, in memory of its own or in that of its VM.
// The broker never reads it, and dereferences no pointer into it: it writes its few words through the descriptor, so
// that no fault in memory that the guest can punch holes into ends the broker.
#pragma once

#include <cstdint>

#include "common/abi/window_layout.h"
#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"

namespace vgpu::broker::vm {

/// The smallest window that can hold an extent; sizes are multiples of VGPU_EXTENT_ALIGN.
inline constexpr std::uint64_t kMinWindowSize = VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN;
inline constexpr std::uint64_t kMaxWindowSize = std::uint64_t{512} << 30;  // what address_candidates.hpp has room for

class Window {
 public:
  /// Memory of its own, with its control page set up.
  static base::Result<Window> create(std::uint64_t size, std::uint64_t client);
  /// A piece of a VM's memory, which is all zero; sets its control page up.
  static base::Result<Window> place(base::UniqueFd memory, std::uint64_t offset, std::uint64_t size,
                                    std::uint64_t client);
  /// One that an earlier broker made, in memory that has been checked.
  static Window adopt(base::UniqueFd memory, std::uint64_t offset, std::uint64_t size) {
    return Window(std::move(memory), offset, size);
  }

  int descriptor() const { return memory_.get(); }
  std::uint64_t offset() const { return offset_; }
  std::uint64_t size() const { return size_; }
  void set_peer_status(vgpu_peer_status status);
  void set_exit_class(std::uint32_t word);
  /// Wakes every thread of the client that sleeps on a word of control page or slots. None does behind a device.
  void wake_sleepers();

 private:
  Window(base::UniqueFd memory, std::uint64_t offset, std::uint64_t size)
      : memory_(std::move(memory)), offset_(offset), size_(size) {}
  void write_word(std::size_t offset, std::uint32_t value);

  base::UniqueFd memory_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

}  // namespace vgpu::broker::vm
