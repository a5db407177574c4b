// A running worker process: its end is an event, and is classed and reaped exactly once.
#pragma once

#include <functional>
#include <optional>

#include "broker/event/event.hpp"
#include "broker/supervisor/spawn.hpp"
#include "common/control/exit_class.hpp"

namespace vgpu::broker::supervisor {

class WorkerProcess {
 public:
  /// `on_exit` is called once, after the process has been reaped. It may destroy this object.
  WorkerProcess(event::Loop& loop, SpawnedProcess process, std::function<void(control::WorkerExit)> on_exit);
  /// A process that was not reaped by then is a bug of ours, and is logged as one.
  ~WorkerProcess();

  /// Where to ask for the exit code of a worker that is not our child, once it has ended.
  void ask_last_word(std::function<std::optional<int>()> last_word) { last_word_ = std::move(last_word); }

  pid_t pid() const { return pid_; }
  /// The pidfd. Stays ours.
  int descriptor() const { return pidfd_.descriptor(); }
  /// Sends SIGKILL, through the pidfd, so never to a stranger. The first reason counts.
  void kill(control::KillReason reason);
  /// Gives up on a process that does not die: it stays behind when the broker ends.
  void abandon() { abandoned_ = true; }

 private:
  void reap();
  void finish(control::WorkerExit exit);

  pid_t pid_;
  control::KillReason reason_ = control::KillReason::not_killed;
  bool reaped_ = false;
  bool abandoned_ = false;
  std::function<void(control::WorkerExit)> on_exit_;
  std::function<std::optional<int>()> last_word_;
  event::Readable pidfd_;
};

}  // namespace vgpu::broker::supervisor
