// Code images: what kind one is, and how many bytes belong to it by its own words. Both sides ask: the shim, which is
// handed a bare pointer, and the worker, which is handed bytes by a guest and gives them to a driver that trusts what
// they say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace vgpu::wire {

/// A caller who knows no end of the memory (all that CUDA's interface gives us) says so; then the image's own words are
/// trusted, up to kMaxImage, which is also the most that the worker takes.
inline constexpr size_t kUnknownEnd = SIZE_MAX;
inline constexpr size_t kMaxImage = size_t{2} << 30;

/// Bytes of the fatbin, cubin (ELF) or PTX text (its final zero included) at `image`, of which at most `limit` may be
/// read. Nothing if it is none of these, or would reach beyond the limit.
std::optional<size_t> image_size(const void* image, size_t limit = kUnknownEnd);

}  // namespace vgpu::wire
