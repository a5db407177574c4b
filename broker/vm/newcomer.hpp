// Whoever is to become a client, by whatever way.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "broker/listener/greeting.hpp"
#include "common/abi/stub_link.h"
#include "common/base/result.hpp"
#include "common/control/messages.hpp"
#include "common/control/negotiate.hpp"

namespace vgpu::broker::vm {

struct Newcomer {
  std::uint64_t id = 0;
  std::string vm;
  std::optional<listener::Guest> guest;  // always there in the end; of a channel of a VM: the process behind the stub,
                                         // unconnected
  control::Hello hello;
  control::Agreement agreement;
};

/// What a guest said through its device: its hello, checked like one on a socket, and what is agreed. Error codes:
/// EBADMSG it is none, EPROTONOSUPPORT no common version.
base::Result<Newcomer> read_newcomer(const vgpu_open& message);

}  // namespace vgpu::broker::vm
