// Which environment variables of the guest program reach its worker, and how they travel in Hello.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.hpp"
#include "common/control/messages.hpp"

namespace vgpu::control {

/// The allow-list. Not in it, and never to be: what names files or libraries on the host, changes clocks, makes a
/// faulting worker wait, or is the shim's own business (CUDA_LAUNCH_BLOCKING).
std::span<const std::string_view> allowed_environment();
bool is_allowed_environment(std::string_view name);

inline constexpr std::size_t kMaxEnvironmentValue = 1024;

/// Puts the allowed ones of `environment` (as environ) into hello. Fails if they do not fit.
base::Result<void> pack_environment(const char* const* environment, Hello& hello);

/// "NAME=value" strings from a hello that is not trusted: every name allowed and given once, values short and
/// printable.
base::Result<std::vector<std::string>> unpack_environment(const Hello& hello);

}  // namespace vgpu::control
