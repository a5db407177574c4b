// PTX text to a Module. Safe on any input: every size is bounded, nothing recurses, failures are values.
#pragma once

#include <cstddef>
#include <string_view>

#include "common/base/result.hpp"
#include "worker/sim/ptx/module.hpp"

namespace vgpu::sim::ptx {

/// Largest text that is looked at, after decompression.
constexpr std::size_t max_text_bytes = 64u << 20;

/// Codes of the errors that parse_ptx gives; the values are CUDA's.
constexpr int invalid_ptx = 218;
constexpr int unsupported_ptx_version = 222;

/// Parses a whole module. The error names the line, and the instruction or directive that is not understood.
base::Result<Module> parse_ptx(std::string_view text);

}  // namespace vgpu::sim::ptx
