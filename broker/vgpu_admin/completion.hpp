// A script for bash, made from the command line's own description, so that it never lags behind.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace vgpu::admin {

std::string bash_completion(const CLI::App& app);

}  // namespace vgpu::admin
