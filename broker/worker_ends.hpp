// How workers have ended since this broker began: a count of each class, and the last end that was the host's fault.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/control/exit_class.hpp"

namespace vgpu::broker {

class WorkerEnds {
 public:
  using Clock = std::chrono::steady_clock;

  struct Failure {
    std::uint64_t client = 0;
    pid_t worker = 0;
    std::string vm;
    control::WorkerExit exit;
    Clock::time_point when;
  };

  void note(Failure end) {
    ++counts_[end.exit.kind];
    if (is_hosts_fault(end.exit.kind)) last_failure_ = std::move(end);
  }
  const std::map<control::ExitClass, std::uint64_t>& counts() const { return counts_; }
  const std::optional<Failure>& last_failure() const { return last_failure_; }

 private:
  /// What a guest can bring about by itself is not: it must not make the host look ill.
  static bool is_hosts_fault(control::ExitClass kind) {
    using enum control::ExitClass;
    return kind == usage || kind == no_driver || kind == internal || kind == killed_by_signal;
  }

  std::map<control::ExitClass, std::uint64_t> counts_;
  std::optional<Failure> last_failure_;
};

}  // namespace vgpu::broker
