// The field's self-test, and behind it a CUDA program's.
#pragma once

#include <functional>
#include <vector>

#include "shim/vgpu_guest/cuda_check.hpp"
#include "shim/vgpu_guest/findings.hpp"
#include "shim/vgpu_guest/legacy_test.hpp"
#include "shim/vgpu_guest/options.hpp"

namespace vgpu::guest {

std::vector<Finding> self_test(const Options& options, const std::function<CudaCheck()>& cuda,
                               const std::function<void(const Finding&)>& on_finding);

Finding judge_legacy(const LegacyVerdict& verdict);

}  // namespace vgpu::guest
