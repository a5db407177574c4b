// One file for those who support us: what broker and doctor say, configuration, versions, end of the log.
#pragma once

#include <string>
#include <vector>

#include "broker/vgpu_admin/options.hpp"
#include "common/base/result.hpp"

namespace vgpu::admin {

struct SupportBundle {
  std::string path;
  std::vector<std::string> contents;  // "status.json: how the broker is", ...
};

/// A broker that does not answer is no error: then the bundle says so.
base::Result<SupportBundle> make_support_bundle(const Options& options);

}  // namespace vgpu::admin
