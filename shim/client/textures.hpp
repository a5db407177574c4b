// What the guest knows of texture and surface objects and of texture and surface references: what they were made of,
// for programs that ask.
#pragma once

#include <cstdint>
#include <optional>

#include "shim/client/context.hpp"

namespace vgpu::shim::textures {

/// What a texture object or (without the rest) a surface object was made of.
struct ObjectInfo {
  CUDA_RESOURCE_DESC resource{};
  CUDA_TEXTURE_DESC texture{};
  std::optional<CUDA_RESOURCE_VIEW_DESC> view;
};
enum class Kind { texture, surface };

// Objects of the current context: the driver numbers those of each context on its own.
void add(Kind kind, uint64_t object, const ObjectInfo& info);
bool find(Kind kind, uint64_t object, ObjectInfo& found);
void remove(Kind kind, uint64_t object);

/// A reference made in the current context. `module`: that declares it, or 0.
void add_reference(uint64_t handle, uint64_t module);
/// The arrays that kernels reach through a reference; null if there is none.
struct Bound {
  CUarray array = nullptr;
  CUmipmappedArray mipmap = nullptr;
};
bool find_reference(uint64_t handle, Bound& bound, uint64_t& module);
void bind_reference(uint64_t handle, const Bound& bound);
void remove_reference(uint64_t handle);
/// The module is gone, and its references with it.
void forget_module(uint64_t module);

}  // namespace vgpu::shim::textures
