// How a channel grows and shrinks: the client asks in the ring, the broker grants pieces of the VM's window
// (docs/design/007). Nothing here waits: the dispatcher asks again.
#pragma once

#include <cstdint>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "common/control/messages.hpp"
#include "common/shm/window.hpp"
#include "worker/broker_mail.hpp"

namespace vgpu::worker {

class ChannelGrowth {
 public:
  /// `memory`: the descriptor of the window's memory; stays the caller's.
  ChannelGrowth(BrokerMail& mail, int memory, shm::Window& window) : mail_(mail), memory_(memory), window_(window) {}

  /// A piece that has been granted and is mapped: CUDA_SUCCESS. CUDA_ERROR_NOT_READY: the broker has been asked.
  /// CUDA_ERROR_OUT_OF_MEMORY: there is none, or no broker.
  cuda::CUresult grow(uint64_t size, uint64_t& window_offset, uint64_t& granted);
  /// Gives the last piece back; CUDA_ERROR_INVALID_VALUE if it is not of this size. Nobody uses it any more.
  cuda::CUresult shrink(uint64_t size);

 private:
  bool ask(uint64_t size);
  cuda::CUresult take_answer(control::ExtentGrant& grant);

  BrokerMail& mail_;
  const int memory_;
  shm::Window& window_;
  bool asked_ = false;
  std::vector<uint64_t> pieces_;  // sizes, in the order of the channel, without the first
};

}  // namespace vgpu::worker
