#include "broker/supervisor/worker_process.hpp"

#include <signal.h>
#include <sys/syscall.h>

#include <cerrno>
#include <system_error>

#include "common/base/log.hpp"

namespace vgpu::broker::supervisor {

WorkerProcess::WorkerProcess(event::Loop& loop, SpawnedProcess process,
                             std::function<void(control::WorkerExit)> on_exit)
    : pid_(process.pid), on_exit_(std::move(on_exit)), pidfd_(loop, std::move(process.pidfd), [this] { reap(); }) {}

WorkerProcess::~WorkerProcess() {
  if (!reaped_ && !abandoned_)
    log::error("worker process {} is forgotten before it has ended: a bug of the broker", pid_);
}

void WorkerProcess::kill(control::KillReason reason) {
  if (reason_ == control::KillReason::not_killed) reason_ = reason;
  if (reaped_) return;
  if (syscall(SYS_pidfd_send_signal, pidfd_.descriptor(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH)
    log::error("cannot kill worker process {}: {}", pid_, std::generic_category().message(errno));
}

void WorkerProcess::reap() {
  siginfo_t info{};
  if (take_exit(pidfd_.descriptor(), info)) {
    if (info.si_pid == 0) return;  // not yet: a spurious wake-up
    return finish(control::classify_exit(info.si_code, info.si_status, reason_));
  }
  if (errno != ECHILD) return;
  // An earlier broker's child: its pidfd tells that it ended, but nobody tells us how, except the worker itself.
  if (const auto code = last_word_ ? last_word_() : std::nullopt)
    return finish(control::classify_exit(CLD_EXITED, *code, reason_));
  finish(control::classify_exit(CLD_KILLED, reason_ == control::KillReason::not_killed ? 0 : SIGKILL, reason_));
}

void WorkerProcess::finish(control::WorkerExit exit) {
  reaped_ = true;
  // Called from a copy: the callee may destroy this object.
  const auto on_exit = std::move(on_exit_);
  on_exit(exit);
}

}  // namespace vgpu::broker::supervisor
