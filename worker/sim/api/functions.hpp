// Functions: finding them by handle, their limits, their occupancy.
#pragma once

#include "worker/sim/api/entry.hpp"

namespace vgpu::sim::api {

using FunctionPtr = std::shared_ptr<device::FunctionObject>;

/// The module of a library in a context, loaded if need be: that waits for the context.
CUresult load_here(const std::shared_ptr<device::Library>& library, const ContextPtr& context,
                   std::shared_ptr<device::LoadedModule>& out);

/// The function behind a CUfunction or a CUkernel: both may be given wherever a function is wanted.
CUresult find_function(const ContextPtr& context, const void* handle, FunctionPtr& out);

/// Threads a block of this function may have.
unsigned max_threads(const ptx::Function& function);
/// Dynamic shared memory that may be asked for at a launch.
int max_dynamic_shared(const ptx::Function& function, const device::FunctionSettings& settings);
/// Blocks that fit a multiprocessor at once, by a simple model of its threads, registers and shared memory.
int blocks_per_multiprocessor(const ptx::Function& function, unsigned threads, std::uint64_t dynamic_shared);

constexpr unsigned multiprocessors = 132;

}  // namespace vgpu::sim::api
