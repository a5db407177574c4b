// Values that libraries keep per context: what libcudart's copies look up at the start of every call.
#pragma once

#include "common/api/cuda_types.hpp"

namespace vgpu::shim::context_storage {

using namespace vgpu::cuda;

using Destructor = void (*)(CUcontext context, void* key, void* value);

// A null context means the calling thread's current one; CUDA_ERROR_INVALID_CONTEXT if there is none.

/// The value stays until del() or the context's end, when `destructor` (if any) is called with it.
CUresult put(CUcontext context, void* key, void* value, Destructor destructor);
/// Forgets the value without calling its destructor. CUDA_ERROR_INVALID_HANDLE if there is none.
CUresult del(CUcontext context, void* key);
/// CUDA_ERROR_INVALID_HANDLE if there is none. Takes no lock if this thread saw the value before and nothing changed
/// since.
CUresult get(void** value, CUcontext context, void* key);

/// The context is gone: its values' destructors run, in this thread.
void context_ended(CUcontext context);

}  // namespace vgpu::shim::context_storage
