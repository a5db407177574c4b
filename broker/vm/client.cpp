#include "broker/vm/client.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>

#include "broker/supervisor/worker_launch.hpp"
#include "common/base/log.hpp"
#include "common/control/address_candidates.hpp"
#include "common/control/environment.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::broker::vm {
namespace {

using base::Error;
using base::UniqueFd;
using control::KillReason;

// WorkerReady and some words about failures: a worker that has more to tell has gone wrong.
constexpr unsigned kMaxWorkerMessages = 64;

Error os_error(const char* what) {
  const int code = errno;
  return {code, std::string(what) + ": " + std::generic_category().message(code)};
}

struct SocketPair {
  UniqueFd ours;
  UniqueFd workers;
};

base::Result<SocketPair> create_socket_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return os_error("socketpair");
  return SocketPair{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

control::HelloReply make_reply(const control::Agreement& agreement, std::uint64_t id, std::uint64_t window_size,
                               pid_t worker) {
  control::HelloReply reply;
  reply.chosen = agreement.version;
  reply.features = agreement.features;
  reply.window_size = window_size;
  reply.client_id = id;
  reply.worker_pid = static_cast<std::uint32_t>(worker);
  reply.candidate_count = static_cast<std::uint32_t>(control::kAddressCandidates.size());
  std::copy(control::kAddressCandidates.begin(), control::kAddressCandidates.end(), reply.candidates.begin());
  return reply;
}

}  // namespace

std::string vm_name(uid_t uid) { return "uid-" + std::to_string(uid); }

struct Client::Parts {
  std::uint64_t id;
  std::chrono::milliseconds kill_timeout;
  LogLimiter& limiter;
  std::function<void(std::uint64_t)> on_finished;
  listener::Guest guest;
  UniqueFd doorbell;
  Window window;
  shm::GrantWriter grant;
  UniqueFd control;
  supervisor::SpawnedProcess process;
};

base::Result<std::unique_ptr<Client>> Client::create(event::Loop& loop, std::uint64_t id, listener::Greeted& greeted,
                                                     const ClientSettings& settings, LogLimiter& limiter,
                                                     std::function<void(std::uint64_t)> on_finished) {
  auto environment = control::unpack_environment(greeted.hello);
  if (!environment) return environment.error();
  auto window = Window::create(settings.window_size);
  if (!window) return window.error();
  UniqueFd doorbell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!doorbell) return os_error("eventfd");
  auto grant = shm::GrantWriter::create(id, shm::monotonic_ms());
  if (!grant) return grant.error();
  auto control = create_socket_pair();
  if (!control) return control.error();
  const auto& guest = greeted.guest;
  auto process = supervisor::launch_worker({settings.worker_path, id, vm_name(guest.peer.uid), settings.driver,
                                            settings.log_level, std::move(*environment), window->descriptor(),
                                            doorbell.get(), grant->descriptor(), control->workers.get(),
                                            guest.peer.pidfd.get(), control->ours.get(), guest.connection.get()});
  if (!process) return process.error();
  return std::unique_ptr<Client>(new Client(
      loop,
      Parts{id, settings.kill_timeout, limiter, std::move(on_finished), std::move(greeted.guest), std::move(doorbell),
            std::move(*window), std::move(*grant), std::move(control->ours), std::move(*process)}));
}

std::unique_ptr<Client> Client::take_back(event::Loop& loop, restart::TakenBack taken, Admission::Ticket ticket,
                                          const ClientSettings& settings, LogLimiter& limiter,
                                          std::function<void(std::uint64_t)> on_finished) {
  std::unique_ptr<Client> client(
      new Client(loop, Parts{taken.entry.id,
                             settings.kill_timeout,
                             limiter,
                             std::move(on_finished),
                             {std::move(taken.connection), std::move(taken.peer), std::move(ticket)},
                             {},
                             std::move(taken.window),
                             std::move(taken.grant),
                             std::move(taken.control),
                             std::move(taken.worker)}));
  client->worker_->ask_last_word([self = client.get()] { return self->grant_.exit_code(); });
  if (!client->peer_gone_) client->reclaim(KillReason::client_gone);
  return client;
}

void Client::answer(const control::Agreement& agreement) {
  const auto reply = make_reply(agreement, id_, window_.size(), worker_->pid());
  const int fds[] = {window_.descriptor(), doorbell_.get(), worker_->descriptor()};
  const bool with_worker = (agreement.features & control::kFeatureWorkerPidfd) != 0;
  const auto answered = control::send_message(peer_socket_->descriptor(), reply, {fds, with_worker ? 3u : 2u},
                                              control::Deadline::after(std::chrono::milliseconds(0)));
  doorbell_.reset();
  // Only a client that has gone already cannot take its answer.
  if (!answered) reclaim(KillReason::client_gone);
}

Client::Client(event::Loop& loop, Parts parts)
    : id_(parts.id),
      kill_timeout_(parts.kill_timeout),
      limiter_(parts.limiter),
      on_finished_(std::move(parts.on_finished)),
      guest_(std::move(parts.guest)),
      uid_(guest_->peer.uid),
      doorbell_(std::move(parts.doorbell)),
      window_(std::move(parts.window)),
      grant_(std::move(parts.grant)),
      kill_deadline_(loop) {
  worker_.emplace(loop, std::move(parts.process), [this](control::WorkerExit exit) { finish(exit); });
  control_.emplace(loop, std::move(parts.control), [this] { on_worker_message(); });
  if (guest_->peer.pidfd)
    peer_gone_.emplace(loop, std::move(guest_->peer.pidfd), [this] { reclaim(KillReason::client_gone); });
  peer_socket_.emplace(loop, std::move(guest_->connection), [this] { on_peer_socket(); });
}

restart::Entry Client::roster_entry() const {
  return {id_, uid_, restart::identify(guest_->peer.pid), restart::identify(worker_->pid()), window_.size()};
}

// The pidfd tells of the client's end even while a forked child holds the connection open. The connection tells of a
// client that lives on without us: it gave the channel back, or became another program by exec.
void Client::on_peer_socket() {
  char byte;
  const auto count = recv(peer_socket_->descriptor(), &byte, sizeof byte, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0)
    limiter_.write(log::Level::warning, uid_, "client {} (pid {}) sent data after its hello; taking its channel back",
                   id_, guest_->peer.pid);
  reclaim(count > 0 ? KillReason::revoked : KillReason::client_gone);
}

void Client::on_worker_message() {
  auto frame = control::read_packet(control_->descriptor());
  if (!frame && frame.error().code == EAGAIN) return;
  if (!frame && frame.error().code == EPIPE) return control_.reset();  // it ends: its pidfd tells the rest
  if (frame && ++worker_messages_ <= kMaxWorkerMessages) return log_worker_message(*frame);
  limiter_.write(log::Level::error, uid_, "worker {} of client {} breaks the control protocol ({}); killing it",
                 worker_->pid(), id_, frame ? "too many messages" : frame.error().text);
  control_.reset();
  reclaim(KillReason::revoked);
}

void Client::log_worker_message(const control::Frame& frame) {
  if (frame.header().type == control::MessageType::worker_ready) {
    const auto ready = frame.as<control::WorkerReady>();
    limiter_.write(log::Level::info, uid_, "worker {} of client {} is ready: driver {} ({}), {} device(s), {}",
                   worker_->pid(), id_, ready.driver_version, control::get_text(ready.driver), ready.device_count,
                   control::get_text(ready.device_name));
  } else if (frame.header().type == control::MessageType::worker_status) {
    const auto status = frame.as<control::WorkerStatus>();
    const auto error = status.cuda_error == 0 ? "" : fmt::format(" (CUDA error {})", status.cuda_error);
    limiter_.write(log::Level::warning, uid_, "worker {} of client {} says: {}{}", worker_->pid(), id_,
                   control::get_text(status.text), error);
  }
}

void Client::reclaim(KillReason reason) {
  if (reclaiming_) return;
  reclaiming_ = true;
  peer_gone_.reset();
  if (reason == KillReason::client_gone)
    limiter_.write(log::Level::info, uid_, "client {} (pid {}) is gone; ending worker {}", id_, guest_->peer.pid,
                   worker_->pid());
  window_.set_peer_status(VGPU_PEER_REVOKED);
  worker_->kill(reason);
  kill_deadline_.start(kill_timeout_, [this] { on_kill_timeout(); });
  peer_socket_.reset();
}

void Client::on_kill_timeout() {
  quarantined_ = true;
  log::error(
      "ALARM: worker {} of client {} (VM {}) has not ended {} ms after SIGKILL; its window stays quarantined "
      "until it does. Look at /proc/{}/stack and the kernel log",
      worker_->pid(), id_, vm_name(uid_), kill_timeout_.count(), worker_->pid());
}

void Client::finish(control::WorkerExit exit) {
  kill_deadline_.cancel();
  if (control_) {
    // What it said last must not be lost to the order of events.
    for (auto frame = control::read_packet(control_->descriptor()); frame && ++worker_messages_ <= kMaxWorkerMessages;
         frame = control::read_packet(control_->descriptor()))
      log_worker_message(*frame);
    control_.reset();
  }
  const bool expected = exit.kind == control::ExitClass::clean || exit.kind == control::ExitClass::client_gone ||
                        exit.kind == control::ExitClass::revoked;
  const auto usage = grant_.usage();
  limiter_.write(expected ? log::Level::info : log::Level::warning, uid_,
                 "worker {} of client {} ended: {}; {} records{}", worker_->pid(), id_, control::describe(exit),
                 usage.records, quarantined_ ? "; its quarantine is over" : "");
  window_.set_exit_class(control::to_word(exit));
  if (!reclaiming_) window_.set_peer_status(VGPU_PEER_LOST);
  reclaiming_ = true;
  window_.wake_sleepers();
  peer_gone_.reset();
  peer_socket_.reset();
  on_finished_(id_);
}

}  // namespace vgpu::broker::vm
