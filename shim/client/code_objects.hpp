// Modules and libraries, and which functions and kernels came out of them: the same question gets the same handle,
// without asking the worker again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim::code_objects {

using namespace vgpu::cuda;

/// A module (made in a context, `library` is where it came from, or 0) or a library (context null).
void add(uint64_t handle, CUcontext context, uint64_t library = 0);
bool exists(uint64_t handle);
/// The object with all functions, kernels and modules that came out of it is gone; the handles may come back.
void remove(uint64_t handle);
/// Modules of a context, and what libraries made in it, are gone.
void forget_context(CUcontext context);

/// The function (of a module) or kernel (of a library) of this name or at this place in the list of all; 0 if not asked
/// for yet.
uint64_t function_named(uint64_t owner, std::string_view name);
uint64_t function_at(uint64_t owner, uint32_t index);
/// Puts a new handle on record and gives back the one to use from now on: that of an earlier answer for the same name,
/// if there is one.
uint64_t remember_named(uint64_t owner, const std::string& name, uint64_t handle);
uint64_t remember_at(uint64_t owner, uint32_t index, const std::string& name, uint64_t handle);

/// Number of functions or kernels, once known.
std::optional<uint32_t> count_of(uint64_t owner);
void remember_count(uint64_t owner, uint32_t count);

/// What a library has in a context: its module (about = 0), or the function of a kernel (about = the kernel). 0 if not
/// asked for yet.
uint64_t in_context(uint64_t library, uint64_t about, CUcontext context);
uint64_t remember_in_context(uint64_t library, uint64_t about, CUcontext context, uint64_t handle);

}  // namespace vgpu::shim::code_objects
