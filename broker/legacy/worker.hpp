// A VM's legacy worker process: started when something is to be computed, supervised like any worker, and ended with
// its broker.
#pragma once

#include <functional>
#include <optional>

#include "broker/legacy/desk.hpp"
#include "broker/supervisor/worker_process.hpp"

namespace vgpu::broker::legacy {

/// What it is started with, asked for at each start.
struct WorkerSettings {
  std::string path;
  std::string driver;
  std::string log_level, log_format, log_file;
  std::chrono::milliseconds kill_timeout{};
};

struct WorkerEvents {
  std::function<void(const control::LegacyResult&)> result;
  std::function<void(const std::string& how)> ended;
};

class Worker : public Computer {
 public:
  Worker(event::Loop& loop, std::string vm, std::function<WorkerSettings()> settings, LogLimiter& limiter,
         WorkerEvents events);
  ~Worker() override;

  base::Result<void> compute(const vgpu_legacy_request& request) override;
  pid_t pid() const { return process_ ? process_->pid() : 0; }
  bool is_running() const override { return process_.has_value(); }
  void kill() override;
  void rest() override;
  /// Kills it and waits for its end, for a second at most. No event follows.
  void end_now();

 private:
  base::Result<void> start();
  void on_message();
  void on_kill_timeout();
  void finish(control::WorkerExit exit);

  event::Loop& loop_;
  const std::string vm_;
  std::function<WorkerSettings()> settings_;
  LogLimiter& limiter_;
  WorkerEvents events_;
  std::optional<supervisor::WorkerProcess> process_;
  std::optional<event::Readable> control_;
  event::Timer deadline_;  // of an end that was asked for
};

}  // namespace vgpu::broker::legacy
