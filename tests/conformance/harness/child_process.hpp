// SPDX-License-Identifier: Apache-2.0
// A child of the runner: this program again, with a pipe for reports and a file for what it prints.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/base/unique_fd.hpp"

namespace conformance {

class ChildProcess {
 public:
  ChildProcess() = default;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();  ///< kills and reaps

  bool start(const std::string& libcuda, const std::vector<std::string>& cases);
  int report_descriptor() const { return reports_.get(); }
  /// False once the child has closed its end: it is dead or dying.
  bool is_open() const { return static_cast<bool>(reports_); }
  /// What has arrived, as lines split at tabs; closes at the end of the pipe.
  std::vector<std::vector<std::string>> read_reports();
  /// Has it write where its threads stand; it ends then.
  void ask_where_threads_stand();
  void kill();
  /// Waits for the exit; empty for a clean one, else a phrase such as "killed by signal 11 (Segmentation fault)".
  std::string reap();
  /// The last part of what the child wrote to stdout and stderr.
  std::string output() const;

 private:
  pid_t pid_ = -1;
  vgpu::base::UniqueFd reports_, output_;
  std::string partial_;
};

}  // namespace conformance
