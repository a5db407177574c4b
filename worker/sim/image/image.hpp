// What a program hands to cuModuleLoadData or cuLibraryLoadData, reduced to the PTX text in it.
//
// Forms: a fatbin wrapper (versions 1 and 2), a bare fatbin with plain, LZ4 or zstd entries, PTX text, a raw ELF cubin
// (which this device cannot run). The size of what is passed is not known from outside, so the span is what the caller
// vouches for: all reads stay in it. read_image_at() finds the size from the headers first, trusting them as the real
// driver does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "common/base/result.hpp"

namespace vgpu::sim::image {

/// Codes of the errors; the values are CUDA's.
constexpr int invalid_image = 200;
constexpr int no_binary_for_gpu = 209;

/// Largest image and largest PTX text that are looked at.
constexpr std::size_t max_image_bytes = 1u << 30;
constexpr std::size_t max_text_bytes = 64u << 20;

/// The newest PTX text in a bare fatbin, in PTX text itself, or an error; never reads outside of `bytes`. Does not
/// follow a wrapper's pointer.
base::Result<std::string> read_image(std::span<const std::byte> bytes);

/// The same for an image given by its address alone, wrappers included.
base::Result<std::string> read_image_at(const void* image);

/// Whether this is no image, but what stands in a program's data and leads to one.
bool is_wrapper(const void* image);

}  // namespace vgpu::sim::image
