#include "broker/legacy/worker.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

#include "broker/supervisor/worker_launch.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::broker::legacy {
namespace {

using control::KillReason;

constexpr std::chrono::milliseconds kAtOnce{0};

}  // namespace

Worker::Worker(event::Loop& loop, std::string vm, std::function<WorkerSettings()> settings, LogLimiter& limiter,
               WorkerEvents events)
    : loop_(loop),
      vm_(std::move(vm)),
      settings_(std::move(settings)),
      limiter_(limiter),
      events_(std::move(events)),
      deadline_(loop) {}

Worker::~Worker() {
  if (!process_) return;
  process_->kill(KillReason::revoked);
  process_->abandon();  // the kernel ends it with us anyway
}

base::Result<void> Worker::compute(const vgpu_legacy_request& request) {
  if (!process_)
    if (auto started = start(); !started) return started;
  auto message = request;
  const control::FrameHeader header{.type = control::MessageType::legacy_request, .size = sizeof message};
  static_assert(sizeof header == sizeof message.header);
  std::memcpy(&message.header, &header, sizeof header);
  const auto sent = control_ ? control::send_bytes(control_->descriptor(), &message, sizeof message, {},
                                                   control::Deadline::after(kAtOnce))
                             : base::Error{EPIPE, ""};
  if (!sent) rest();  // it has just ended, or is of no use: its end answers the request
  return {};
}

base::Result<void> Worker::start() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return base::Error{errno, "socketpair: " + std::generic_category().message(errno)};
  base::UniqueFd ours(ends[0]);
  const base::UniqueFd workers(ends[1]);
  const auto settings = settings_();
  auto process = supervisor::launch_legacy_worker(
      {settings.path, vm_, settings.driver, settings.log_level, settings.log_format, settings.log_file}, workers.get());
  if (!process) return process.error();
  limiter_.write(log::Level::info, vm_, "VM {}: worker {} started for its legacy requests", vm_, process->pid);
  process_.emplace(loop_, std::move(*process), [this](control::WorkerExit exit) { finish(exit); });
  control_.emplace(loop_, std::move(ours), [this] { on_message(); });
  return {};
}

void Worker::on_message() {
  auto frame = control::read_packet(control_->descriptor());
  if (!frame && frame.error().code == EAGAIN) return;
  if (frame && frame->header().type == control::MessageType::legacy_result)
    return events_.result(frame->as<control::LegacyResult>());
  control_.reset();
  if (!frame && frame.error().code == EPIPE) return;  // it ends: its pidfd tells the rest
  limiter_.write(log::Level::error, vm_, "VM {}: worker {} breaks the protocol of legacy requests; killing it", vm_,
                 process_->pid());
  process_->kill(KillReason::revoked);
}

void Worker::rest() {
  if (!process_) return;
  control_.reset();
  deadline_.start(settings_().kill_timeout, [this] { kill(); });
}

void Worker::kill() {
  if (!process_) return;
  control_.reset();
  process_->kill(KillReason::revoked);
  deadline_.start(settings_().kill_timeout, [this] { on_kill_timeout(); });
}

void Worker::on_kill_timeout() {
  log::error(
      "ALARM: worker {} of the legacy requests of VM {} has not ended {} ms after SIGKILL; until it does they end "
      "with error 4. Look at /proc/{}/stack and the kernel log",
      process_->pid(), vm_, settings_().kill_timeout.count(), process_->pid());
}

void Worker::end_now() {
  if (!process_) return;
  constexpr int kLongestMs = 1000;
  process_->kill(KillReason::revoked);
  pollfd entry{process_->descriptor(), POLLIN, 0};
  siginfo_t info{};
  if (::poll(&entry, 1, kLongestMs) > 0) supervisor::take_exit(process_->descriptor(), info);
  process_->abandon();
  process_.reset();
  control_.reset();
  deadline_.cancel();
}

void Worker::finish(control::WorkerExit exit) {
  const auto how = control::describe(exit);
  const bool is_expected = exit.kind == control::ExitClass::clean || exit.kind == control::ExitClass::revoked;
  limiter_.write(is_expected ? log::Level::info : log::Level::warning, vm_,
                 "VM {}: worker {} of its legacy requests ended: {}", vm_, process_->pid(), how);
  // What it said last must not be lost to the order of events.
  if (control_) on_message();
  control_.reset();
  deadline_.cancel();
  process_.reset();
  events_.ended(how);
}

}  // namespace vgpu::broker::legacy
