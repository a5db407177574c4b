// Contexts as the guest knows them: current per thread, and what libcudart keeps in them.
#pragma once

#include <cstdint>
#include <memory>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// One context of this process. Handles are numbers (common/wire/handle.hpp); the object lives until the process ends,
/// so that a stale pointer is never dangling, and `alive` says whether the handle still means something.
struct Context;

/// The calling thread's current context; null if none.
Context* current_context();
/// The context behind a handle; null if it is none of ours.
Context* find_context(CUcontext handle);
CUcontext handle_of(const Context& context);
CUdevice device_of(const Context& context);
/// The number that cuCtxGetId answers.
unsigned long long id_of(const Context& context);
/// Handle of a device's primary context. It does not create the context on the host.
CUcontext primary_context(CUdevice device);
bool is_alive(const Context& context);
/// Calls `destructor` (see context_storage.hpp) when the context is destroyed or reset. Registered once, by the owner
/// of the storage.
void on_context_end(void (*callback)(CUcontext context));

}  // namespace vgpu::shim
