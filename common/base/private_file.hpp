// A file of a program's own that it believes later: nobody else may have been able to write it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "common/base/result.hpp"

namespace vgpu::base {

/// The text of a regular file that only this user can write and that has at most `most` bytes; nothing if there is
/// none. Any other file is an error that names it.
Result<std::optional<std::string>> read_private_file(const std::string& path, off_t most);

}  // namespace vgpu::base
