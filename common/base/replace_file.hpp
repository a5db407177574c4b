// A small file whose readers see the old text or the new one, never half of one.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/base/result.hpp"

namespace vgpu::base {

/// Writes `text` beside the file ("<path>.new") and renames it: whoever dies meanwhile leaves the file as it was.
Result<void> replace_file(const std::string& path, const std::string& text, mode_t mode);

}  // namespace vgpu::base
