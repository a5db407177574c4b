// Gathers what the doctor judges. Looks, and changes nothing; each socket is connected to once, which costs the broker
// one log line.
#pragma once

#include "broker/vgpu_admin/facts.hpp"
#include "broker/vgpu_admin/options.hpp"

namespace vgpu::admin {

Facts gather(const Options& options);

/// The admin socket that the options mean: named, or where the configuration puts it.
std::string admin_socket_of(const Options& options);

}  // namespace vgpu::admin
