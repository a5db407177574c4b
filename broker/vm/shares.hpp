// What workers offer to the other workers of their VM: handles of the driver, by token. The broker only keeps them;
// what they mean is the driver's.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"

namespace vgpu::broker::vm {

class Shares {
 public:
  struct Offer {
    std::uint64_t client = 0;  ///< whose worker offers it
    control::ShareKind kind{};
    std::array<std::uint8_t, control::kShareDataSize> data{};
    base::UniqueFd descriptor;  ///< may be empty
  };
  static constexpr std::size_t kMostOffers = 16384;     ///< of one VM
  static constexpr std::size_t kMostDescriptors = 256;  ///< of one VM: they count against the broker's own limit

  /// False if the VM has as many as it may have, or the token is taken.
  bool offer(const std::string& vm, const control::ShareToken& token, Offer offer);
  /// Null if nobody of this VM offers it. Valid until the next change.
  const Offer* find(const std::string& vm, const control::ShareToken& token) const;
  /// The client's worker has ended, and its handles with it.
  void forget(const std::string& vm, std::uint64_t client);
  std::size_t count(const std::string& vm) const;

 private:
  struct OfVm {
    std::map<control::ShareToken, Offer> offers;
    std::size_t descriptors = 0;
  };
  std::map<std::string, OfVm> vms_;
};

}  // namespace vgpu::broker::vm
