#include "common/control/negotiate.hpp"

#include <algorithm>

namespace vgpu::control {
namespace {

std::string describe(const Offer& offer) {
  const auto major = std::to_string(offer.newest.major) + ".";
  const auto newest = major + std::to_string(offer.newest.minor);
  if (offer.oldest_minor >= offer.newest.minor) return newest;
  return major + std::to_string(offer.oldest_minor) + " to " + newest;
}

}  // namespace

base::Result<Agreement> negotiate(const Offer& client, const Offer& host) {
  const auto minor = std::min(client.newest.minor, host.newest.minor);
  const auto oldest = std::max(client.oldest_minor, host.oldest_minor);
  if (client.newest.major != host.newest.major || minor < oldest) {
    const bool guest_is_older = client.newest.major != host.newest.major ? client.newest.major < host.newest.major
                                                                         : client.newest.minor < host.newest.minor;
    return base::Error{0, "no common protocol version: the guest speaks " + describe(client) + ", the host speaks " +
                              describe(host) + "; update the " + (guest_is_older ? "guest" : "host")};
  }
  return Agreement{{host.newest.major, minor}, client.features & host.features};
}

}  // namespace vgpu::control
