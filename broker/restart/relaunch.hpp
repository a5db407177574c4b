// Relaunch: the broker becomes a fresh run of its program, in the same process (decision 23). Its listening socket and
// lock go along, so nobody is refused meanwhile; everything else is taken back as after a crash.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/listener/listen_socket.hpp"
#include "common/base/result.hpp"

namespace vgpu::broker::restart {

/// Where our own program is, asked at the start: an upgrade puts another file there.
std::string own_program();

/// Returns only if it fails, and then everything is as it was.
base::Error relaunch(const std::string& program, const std::vector<std::string>& arguments,
                     const listener::ListenSocket::Descriptors& socket);

/// What relaunch() handed to this run, if it is one.
std::optional<listener::ListenSocket::Descriptors> take_inherited();

}  // namespace vgpu::broker::restart
