// The chain from the device to the driver, link by link, up to the first that is broken.
#pragma once

#include <functional>
#include <vector>

#include "shim/vgpu_guest/cuda_check.hpp"
#include "shim/vgpu_guest/findings.hpp"
#include "shim/vgpu_guest/options.hpp"

namespace vgpu::guest {

/// `on_finding` is told each as it is known. `cuda` runs the CUDA check: tests have their own.
std::vector<Finding> examine(const Options& options, const std::function<CudaCheck()>& cuda,
                             const std::function<void(const Finding&)>& on_finding);

/// The findings of a CUDA check, in the order of its steps.
std::vector<Finding> judge_cuda(const CudaCheck& check);

}  // namespace vgpu::guest
