// The process's channel to its worker: append records, wait for answers, notice that the other side is gone.
//
// Lock order: slot mutex, then append lock. The console lock is taken with neither held.
#pragma once

#include <time.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

#include "common/api/cuda_types.hpp"
#include "common/ring/producer.hpp"
#include "common/shm/window.hpp"
#include "shim/client/arena.hpp"
#include "shim/transport/transport.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// One answer, copied out of the reply slot.
struct Answer {
  CUresult result = CUDA_SUCCESS;
  CUresult deferred = CUDA_SUCCESS;
  uint32_t length = 0;
};

class Channel {
 public:
  Channel(std::unique_ptr<transport::Transport> transport, shm::Window window, Arena arena);
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  const shm::Window& window() const { return window_; }
  const Arena& arena() const { return arena_; }
  const transport::Transport& transport() const { return *transport_; }

  /// CUDA_SUCCESS, or what every call gets: the GPU's sticky error, or 719 if the worker is gone.
  CUresult health() const {
    const uint32_t sticky = word(offsetof(vgpu_control, sticky_error)).load(std::memory_order_relaxed);
    const uint32_t peer = word(offsetof(vgpu_control, peer_status)).load(std::memory_order_relaxed);
    if ((sticky | peer) == 0 && !lost_.load(std::memory_order_relaxed) && is_still_ours()) [[likely]]
      return CUDA_SUCCESS;
    return unhealthy();
  }
  /// True if the worker has ended. For those who wait, and have time for a system call: also sees an end that no broker
  /// tells of.
  bool has_lost_worker() const;
  /// health() after has_lost_worker().
  CUresult health_while_waiting() const;

  /// Appends a record that nobody waits for.
  CUresult post(uint32_t slot, uint16_t op, uint64_t context, std::span<const uint8_t> body,
                std::span<const uint8_t> tail);
  /// Appends a record and waits for its answer; at most `data.size()` bytes of it are copied out.
  CUresult call(uint32_t slot, uint16_t op, uint64_t context, std::span<const uint8_t> body,
                std::span<const uint8_t> tail, std::span<uint8_t> data, Answer& answer);

  /// Maps a piece that the host has granted behind the channel's end; unmaps the last one. One thread at a time.
  bool grow(uint64_t window_offset, uint64_t size);
  bool shrink(uint64_t size) { return static_cast<bool>(window_.shrink(size)); }

  /// True if the worker knows all GPU work complete that was appended before.
  bool is_idle() const;

  /// Waits until the word at `offset` of the window holds `value` (the GPU's stream got to a staging_mark). `check` is
  /// asked about once a second whether waiting still makes sense.
  CUresult wait_for_word(uint64_t offset, uint32_t value, CUresult (*check)());

  std::atomic_ref<uint32_t> word(uint64_t offset) const { return window_.word32(offset); }
  std::atomic_ref<uint64_t> word64(uint64_t offset) const { return window_.word64(offset); }
  /// Sleeps while the word at `offset` holds `seen`, at most `longest`; false if that time passed. Also ends when the
  /// worker is lost meanwhile.
  bool sleep_on(uint64_t offset, uint32_t seen, timespec longest = {1, 0}) const;
  /// Wakes a worker that sleeps on the word. Over a device nobody can be woken so: the worker looks by itself.
  void wake(uint64_t offset) const;
  /// For something else than a record.
  void ring_doorbell() const { transport_->ring_doorbell(0); }

 private:
  struct Slot {
    std::mutex mutex;  // held from append to reply: threads may share a slot
    uint32_t sequence = 0;
  };

  CUresult unhealthy() const;
  /// False if the memory behind the window is another life's: its host side was stopped and started, and somebody else
  /// may have the place. Only behind a device.
  bool is_still_ours() const {
    return !is_device_ ||
           word64(offsetof(vgpu_control, client)).load(std::memory_order_relaxed) == transport_->client_id();
  }
  /// `number`: of the record among all, from 1.
  CUresult append(const vgpu_record_header& header, std::span<const uint8_t> body, std::span<const uint8_t> tail,
                  uint64_t& number);
  CUresult wait_for_reply(uint32_t slot, uint32_t sequence);
  void* address(uint64_t offset) const { return window_.bytes(offset, sizeof(uint32_t)); }
  void read_answer(uint32_t slot, std::span<uint8_t> data, Answer& answer) const;

  const std::unique_ptr<transport::Transport> transport_;
  const bool is_device_;
  const bool is_traced_;
  shm::Window window_;
  const Arena arena_;
  std::mutex append_;
  ring::Producer producer_;
  uint64_t appended_ = 0;                  // records; under append_
  std::atomic<uint64_t> position_{0};      // of the producer, readable without the lock
  mutable std::atomic<bool> lost_{false};  // the worker's end, where the window is not the place to note it
  std::array<Slot, VGPU_SLOT_COUNT> slots_;
};

/// The open channel, or null: not initialised yet, or a forked child, which must not touch its parent's.
Channel* open_channel();
/// Makes it the process's channel for good.
void publish_channel(Channel* channel);
/// In the child of a fork: from now on there is no channel, and never will be.
void abandon_channel();
bool is_fork_child();

/// The slot of those who ask for the process rather than for a thread, at the start and for NVML: no thread is given
/// it.
inline constexpr uint32_t kCommonSlot = VGPU_SLOT_COUNT - 1;

/// A reply slot for the calling thread; true if it shares it with others because there are more threads than slots.
bool take_slot(uint32_t& slot);
void give_back_slot(uint32_t slot);

/// Prints what the device's printf and assert have said since.
void drain_console(Channel& channel);

}  // namespace vgpu::shim
