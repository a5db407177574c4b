// The names of VMs in quarantine, in a file beside the roster: an operator's word, which outlives every broker.
#pragma once

#include <set>
#include <string>

#include "common/base/result.hpp"

namespace vgpu::broker {

class QuarantineFile {
 public:
  explicit QuarantineFile(std::string path) : path_(std::move(path)) {}

  /// Nothing if there is no file. One that is damaged, or that others could write, is an error.
  base::Result<std::set<std::string>> read() const;
  /// In the file when this returns; without names there is no file.
  base::Result<void> write(const std::set<std::string>& names) const;

 private:
  std::string path_;
};

}  // namespace vgpu::broker
