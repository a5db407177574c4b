// The answer to a stub that is not to be served, in its own protocol (common/abi/stub_link.h).
#pragma once

#include <string>

#include "common/abi/stub_link.h"
#include "common/control/messages.hpp"

namespace vgpu::broker::vm {

vgpu_link make_refusal(control::HelloStatus status, const std::string& vm, const std::string& text);

/// To a stub without a link: closes nothing and never blocks; one that is gone or deaf misses it.
void refuse_stub(int connection, control::HelloStatus status, const std::string& vm, const std::string& text);

}  // namespace vgpu::broker::vm
