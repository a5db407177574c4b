// Executable graphs whose launch the driver may refuse, because what they allocated last time is still allocated. Their
// launches wait for the driver's answer; those of all others are posted.
#pragma once

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// A graph of this process allocates memory: executable graphs made from now on may.
void note_allocating_graphs();
/// `flags`: of its instantiation.
void note_exec(CUgraphExec exec, unsigned long long flags);
void forget_exec(CUgraphExec exec);
bool may_be_refused(CUgraphExec exec);

}  // namespace vgpu::shim
