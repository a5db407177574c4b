// Version negotiation: a pure function of what both sides offer.
#pragma once

#include "common/base/result.hpp"
#include "common/control/messages.hpp"

namespace vgpu::control {

/// A host serves guests of the two minors before its own.
inline constexpr std::uint16_t kServedPreviousMinors = 2;

struct Offer {
  Version newest;
  std::uint16_t oldest_minor = 0;  // of newest.major
  std::uint64_t features = 0;
};

struct Agreement {
  Version version;
  std::uint64_t features = 0;
};

/// What a host of `version` offers.
constexpr Offer host_offer(Version version, std::uint64_t features) {
  const auto oldest = version.minor > kServedPreviousMinors ? version.minor - kServedPreviousMinors : 0;
  return {version, static_cast<std::uint16_t>(oldest), features};
}

/// The newest version both speak and the features both have; an error that names both sides if there is none.
base::Result<Agreement> negotiate(const Offer& client, const Offer& host);

}  // namespace vgpu::control
