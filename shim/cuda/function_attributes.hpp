// Attributes of what is launched, function or kernel.
#pragma once

#include "shim/client/functions.hpp"

namespace vgpu::shim::calls {

/// A kernel's attribute is that on the current device. Asks the worker once.
CUresult attribute_of(FunctionInfo& info, CUfunction_attribute attribute, int& value);

}  // namespace vgpu::shim::calls
