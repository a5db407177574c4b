// How NVML's questions come to the worker: over the process's channel, if it has one or can have one; see
// docs/design/009-nvml.md. No lock but the start's is taken, so it works in a forked child too.
#pragma once

#include "shim/nvml/bridge.hpp"

namespace vgpu::shim {

const nvml::Bridge& nvml_bridge();

}  // namespace vgpu::shim
