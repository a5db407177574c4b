// What the worker tells the broker. Lines that a guest can provoke go this way, not into the log: the broker bounds
// how many of one user are written.
#pragma once

#include <string>

#include "common/base/unique_fd.hpp"
#include "common/control/messages.hpp"

namespace vgpu::worker {

class BrokerLink {
 public:
  explicit BrokerLink(base::UniqueFd control) : control_(std::move(control)) {}

  void ready(control::WorkerReady message);
  /// A sentence for the operator; `cuda_error` 0 if none is concerned. Never blocks; a broker that is gone or deaf
  /// misses it.
  void say(const std::string& text, int cuda_error = 0);

  /// Stays ours; for those who speak with the broker about memory.
  int descriptor() const { return control_.get(); }

 private:
  base::UniqueFd control_;
  unsigned said_ = 0;
};

}  // namespace vgpu::worker
