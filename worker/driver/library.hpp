// The CUDA driver library that this worker serves its client with, opened at run time.
#pragma once

#include <string>

#include "common/api/driver.gen.hpp"
#include "common/base/result.hpp"

namespace vgpu::worker {

/// An opened driver. It stays open until the process ends: the real one has threads that do not survive a dlclose.
struct DriverLibrary {
  cuda::DriverTable functions;
  std::string path;          ///< what was opened
  bool is_software = false;  ///< the software GPU
};

/// Opens what `driver` names: "nvidia" (libcuda.so.1), "sim" (the software GPU beside this program), "auto" (the
/// software GPU only where no NVIDIA device exists at all), or a path. The error says what to install or configure.
base::Result<DriverLibrary> open_driver(const std::string& driver);

}  // namespace vgpu::worker
