// What was looked at, in order, and what came of it: for people and as JSON.
#pragma once

#include <string>
#include <vector>

#include "common/base/finding.hpp"
#include "shim/vgpu_guest/json_text.hpp"

namespace vgpu::guest {

using base::broken;
using base::exit_code_of;
using base::Finding;
using base::good;
using base::skipped;
using base::to_text;

std::string to_json(const std::vector<Finding>& findings);

}  // namespace vgpu::guest
