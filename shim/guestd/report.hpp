// What vgpu-guestd tells whoever asks at its status socket: lines of "key value", for vgpu-guest and for reading.
#pragma once

#include <map>
#include <string>

#include "shim/guestd/client.hpp"
#include "shim/guestd/device.hpp"

namespace vgpu::guestd {

/// Behind the name of the clients' socket.
inline constexpr const char* kStatusSuffix = ".status";

/// Ends with a line "end".
std::string make_report(const Device& device, const std::map<uint32_t, Client>& owners, size_t waiting);

}  // namespace vgpu::guestd
