// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/harness/driver.hpp"

#include <dlfcn.h>

namespace conformance {
namespace {

// Never closed: no program closes libcuda, and its threads may outlive main.
void* library = nullptr;
vgpu::cuda::DriverTable table;
std::string opened_path;

}  // namespace

bool open_driver(const std::string& path, std::string& error) {
  opened_path = path;
  library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* why = dlerror();
    error = "cannot open the library under test: " + std::string(why != nullptr ? why : "unknown reason");
    return false;
  }
  vgpu::cuda::for_each_function(table, [](const char* symbol, void** slot) { *slot = dlsym(library, symbol); });
  return true;
}

const vgpu::cuda::DriverTable& driver() { return table; }
const std::string& library_path() { return opened_path; }

void* exported_symbol(const std::string& name) { return dlsym(library, name.c_str()); }

}  // namespace conformance
