// SPDX-License-Identifier: Apache-2.0
// The library under test: opened by path, its functions found by their exported names.
#pragma once

#include <string>

#include "common/api/driver.gen.hpp"

namespace conformance {

/// Opens the library and fills the table; false with a sentence in `error` when it cannot be opened.
bool open_driver(const std::string& path, std::string& error);

const vgpu::cuda::DriverTable& driver();
/// As it was given to open_driver().
const std::string& library_path();

/// Address of any exported symbol, null where the library lacks it.
void* exported_symbol(const std::string& name);

}  // namespace conformance
