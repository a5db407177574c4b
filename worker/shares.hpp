// What this client's process gives to other processes of its VM, and what it takes from them: memory and events, by
// tokens that the guest passes on as it likes. The broker keeps who offers what, and knows no other VM's tokens.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>

#include "common/api/cuda_types.hpp"
#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"
#include "worker/broker_mail.hpp"

namespace vgpu::worker {

class Shares {
 public:
  using Data = std::array<uint8_t, control::kShareDataSize>;
  struct Found {
    Data data{};
    base::UniqueFd descriptor;
  };

  explicit Shares(BrokerMail& mail) : mail_(mail) {}

  /// The token by which this is found from now on; what was offered before keeps its token. `descriptor` -1: none, else
  /// it stays the caller's. CUDA_ERROR_NOT_READY: too many at a time, ask again. CUDA_ERROR_OUT_OF_MEMORY: too many.
  cuda::CUresult offer(control::ShareKind kind, const Data& data, int descriptor, control::ShareToken& token);
  /// CUDA_ERROR_NOT_READY: the broker has been asked. CUDA_ERROR_INVALID_HANDLE: nobody of this VM offers it.
  cuda::CUresult find(const control::ShareToken& token, control::ShareKind kind, Found& found);

  /// Memory of others may be opened several times; true when the last one closes it.
  void note_opened(uint64_t address) { ++opened_[address]; }
  bool note_closed(uint64_t address);

 private:
  bool is_within_rate();
  void take_answers();

  BrokerMail& mail_;
  std::map<std::pair<control::ShareKind, Data>, control::ShareToken> offered_;  // without a descriptor
  std::size_t offers_ = 0;
  std::deque<control::ShareToken> asked_;  // oldest first
  std::map<control::ShareToken, std::pair<control::ShareKind, Found>> answers_;
  std::map<uint64_t, unsigned> opened_;
  uint64_t second_ = 0;
  unsigned in_this_second_ = 0;
};

}  // namespace vgpu::worker
