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
// About growing and shrinking, between two heartbeats.
constexpr unsigned kMaxExtentMessages = 1000;
// About sharing, between two heartbeats: twice what a worker allows itself.
constexpr unsigned kMaxShareMessages = 2 * control::kMostSharesPerSecond;

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

}  // namespace

struct Client::Parts {
  std::uint64_t id;
  std::string vm;
  std::chrono::milliseconds kill_timeout;
  LogLimiter& limiter;
  ClientEvents events;
  listener::Guest guest;
  control::Agreement agreement;
  UniqueFd doorbell;
  Window window;
  std::uint64_t capacity;
  shm::GrantWriter grant;
  UniqueFd control;
  supervisor::SpawnedProcess process;
};

base::Result<std::unique_ptr<Client>> Client::create(event::Loop& loop, Newcomer& newcomer, Window window,
                                                     std::uint64_t capacity, const ClientSettings& settings,
                                                     LogLimiter& limiter, ClientEvents events) {
  auto environment = control::unpack_environment(newcomer.hello);
  if (!environment) return environment.error();
  UniqueFd doorbell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!doorbell) return os_error("eventfd");
  auto grant = shm::GrantWriter::create(newcomer.id, shm::monotonic_ms());
  if (!grant) return grant.error();
  auto control = create_socket_pair();
  if (!control) return control.error();
  const auto& guest = *newcomer.guest;
  supervisor::WorkerLaunch launch{
      settings.worker_path,    newcomer.id,         newcomer.vm,           settings.driver,     settings.log_level,
      std::move(*environment), window.descriptor(), doorbell.get(),        grant->descriptor(), control->workers.get(),
      guest.peer.pidfd.get(),  control->ours.get(), guest.connection.get()};
  launch.place = {window.offset(), window.size(), capacity};
  launch.log_format = settings.log_format;
  launch.log_file = settings.log_file;
  auto process = supervisor::launch_worker(launch);
  if (!process) return process.error();
  return std::unique_ptr<Client>(
      new Client(loop, Parts{newcomer.id, newcomer.vm, settings.kill_timeout, limiter, std::move(events),
                             std::move(*newcomer.guest), newcomer.agreement, std::move(doorbell), std::move(window),
                             capacity, std::move(*grant), std::move(control->ours), std::move(*process)}));
}

std::unique_ptr<Client> Client::take_back(event::Loop& loop, restart::TakenBack taken, Admission::Ticket ticket,
                                          const ClientSettings& settings, LogLimiter& limiter, ClientEvents events) {
  const auto capacity = taken.window.size();
  std::unique_ptr<Client> client(
      new Client(loop, Parts{taken.entry.id,
                             taken.entry.vm_name(),
                             settings.kill_timeout,
                             limiter,
                             std::move(events),
                             {std::move(taken.connection), std::move(taken.peer), std::move(ticket)},
                             {},
                             {},
                             std::move(taken.window),
                             capacity,
                             std::move(taken.grant),
                             std::move(taken.control),
                             std::move(taken.worker)}));
  client->facts_ = std::move(taken.entry.facts);
  client->worker_->ask_last_word([self = client.get()] { return self->grant_.exit_code(); });
  if (!client->peer_gone_) client->reclaim(KillReason::client_gone);
  return client;
}

control::HelloReply Client::reply() const {
  control::HelloReply reply;
  reply.chosen = agreement_.version;
  reply.features = agreement_.features;
  reply.window_size = window_.size();
  reply.window_offset = window_.offset();
  reply.window_capacity = capacity_;
  reply.client_id = id_;
  reply.worker_pid = static_cast<std::uint32_t>(worker_->pid());
  reply.candidate_count = static_cast<std::uint32_t>(control::kAddressCandidates.size());
  std::copy(control::kAddressCandidates.begin(), control::kAddressCandidates.end(), reply.candidates.begin());
  return reply;
}

void Client::answer() {
  const int fds[] = {window_.descriptor(), doorbell_.get(), worker_->descriptor()};
  const bool with_worker = (agreement_.features & control::kFeatureWorkerPidfd) != 0;
  const auto answered = control::send_message(peer_socket_->descriptor(), reply(), {fds, with_worker ? 3u : 2u},
                                              control::Deadline::after(std::chrono::milliseconds(0)));
  drop_doorbell();
  // Only a client that has gone already cannot take its answer.
  if (!answered) reclaim(KillReason::client_gone);
}

Client::Client(event::Loop& loop, Parts parts)
    : id_(parts.id),
      kill_timeout_(parts.kill_timeout),
      limiter_(parts.limiter),
      events_(std::move(parts.events)),
      vm_(std::move(parts.vm)),
      guest_(std::move(parts.guest)),
      agreement_(parts.agreement),
      capacity_(parts.capacity),
      doorbell_(std::move(parts.doorbell)),
      window_(std::move(parts.window)),
      grant_(std::move(parts.grant)),
      kill_deadline_(loop) {
  worker_.emplace(loop, std::move(parts.process), [this](control::WorkerExit exit) { finish(exit); });
  control_.emplace(loop, std::move(parts.control), [this] { take_worker_message(); });
  if (guest_->peer.pidfd)
    peer_gone_.emplace(loop, std::move(guest_->peer.pidfd), [this] { reclaim(KillReason::client_gone); });
  if (guest_->connection) peer_socket_.emplace(loop, std::move(guest_->connection), [this] { on_peer_socket(); });
}

restart::Entry Client::roster_entry() const {
  const auto uid = guest_->peer.uid;
  return {id_,
          uid,
          base::identify(guest_->peer.pid),
          base::identify(worker_->pid()),
          window_.size(),
          {},
          vm_ == vm_name(uid) ? "" : vm_,
          {}};
}

// The pidfd tells of the client's end even while a forked child holds the connection open. The connection tells of a
// client that lives on without us: it gave the channel back, or became another program by exec.
void Client::on_peer_socket() {
  char byte;
  const auto count = recv(peer_socket_->descriptor(), &byte, sizeof byte, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0)
    limiter_.write(log::Level::warning, vm_, "client {} (pid {}) sent data after its hello; taking its channel back",
                   id_, guest_->peer.pid);
  reclaim(count > 0 ? KillReason::revoked : KillReason::client_gone);
}

/// False if there was none.
bool Client::take_worker_message() {
  auto frame = control::read_packet(control_->descriptor());
  if (!frame && frame.error().code == EAGAIN) return false;
  if (!frame && frame.error().code == EPIPE) return control_.reset(), false;  // it ends: its pidfd tells the rest
  if (frame && may_send(frame->header().type)) return handle_worker_message(std::move(*frame)), true;
  limiter_.write(log::Level::error, vm_, "worker {} of client {} breaks the control protocol ({}); killing it",
                 worker_->pid(), id_, frame ? "too many messages" : frame.error().text);
  control_.reset();
  reclaim(KillReason::revoked);
  return false;
}

void Client::hear_worker() {
  while (control_ && take_worker_message()) {
  }
}

bool Client::may_send(control::MessageType type) {
  switch (type) {
    case control::MessageType::extent_request:
    case control::MessageType::extent_return:
      return ++extent_messages_ <= kMaxExtentMessages;
    case control::MessageType::share_offer:
    case control::MessageType::share_request:
      return ++share_messages_ <= kMaxShareMessages;
    default:
      return ++worker_messages_ <= kMaxWorkerMessages;
  }
}

void Client::handle_worker_message(control::Frame frame) {
  if (frame.header().type == control::MessageType::extent_request) {
    grow(frame.as<control::ExtentRequest>().size);
  } else if (frame.header().type == control::MessageType::extent_return) {
    if (!events_.shrink || !events_.shrink(frame.as<control::ExtentReturn>().size)) reclaim(KillReason::revoked);
  } else if (frame.header().type == control::MessageType::share_offer) {
    take_offer(std::move(frame));
  } else if (frame.header().type == control::MessageType::share_request) {
    const auto token = frame.as<control::ShareRequest>().token;
    if (find_offer(token) == nullptr && events_.missed) return events_.missed(id_, token);
    answer_share(token);
  } else if (frame.header().type == control::MessageType::worker_ready) {
    const auto ready = frame.as<control::WorkerReady>();
    facts_ = {ready.driver_version, ready.device_count, control::get_text(ready.device_name),
              control::get_text(ready.driver)};
    if (events_.ready) events_.ready(id_, *facts_);
    // As operators know it.
    limiter_.write(log::Level::info, vm_, "[cuda-executor] CUDA_CALL_INIT vm={} — pipeline live", vm_);
    limiter_.write(log::Level::info, vm_, "worker {} of client {} is ready: driver {} ({}), {} device(s), {}",
                   worker_->pid(), id_, facts_->driver_version, facts_->driver, facts_->device_count,
                   facts_->device_name);
  } else if (frame.header().type == control::MessageType::worker_status) {
    const auto status = frame.as<control::WorkerStatus>();
    const auto error = status.cuda_error == 0 ? "" : fmt::format(" (CUDA error {})", status.cuda_error);
    limiter_.write(log::Level::warning, vm_, "worker {} of client {} says: {}{}", worker_->pid(), id_,
                   control::get_text(status.text), error);
  }
}

void Client::grow(std::uint64_t size) {
  const auto grant = events_.grow && !reclaiming_ ? events_.grow(size) : control::ExtentGrant{};
  // A worker that does not read gets no memory: it asked, and it alone waits.
  (void)control::send_message(control_->descriptor(), grant, {},
                              control::Deadline::after(std::chrono::milliseconds(0)));
}

void Client::take_offer(control::Frame frame) {
  const auto message = frame.as<control::ShareOffer>();
  Shares::Offer offer{id_, message.kind, message.data, {}};
  if (!frame.fds.empty()) offer.descriptor = std::move(frame.fds.front());
  if (events_.shares == nullptr || reclaiming_) return;
  if (!events_.shares->offer(vm_, message.token, std::move(offer)))
    limiter_.write(log::Level::warning, vm_,
                   "client {} shares more than the processes of VM {} may share (limits: {} handles, {} descriptors)",
                   id_, vm_, Shares::kMostOffers, Shares::kMostDescriptors);
}

const Shares::Offer* Client::find_offer(const control::ShareToken& token) const {
  return events_.shares == nullptr ? nullptr : events_.shares->find(vm_, token);
}

void Client::settle_share(const control::ShareToken& token) {
  if (control_) answer_share(token);
}

void Client::answer_share(const control::ShareToken& token) {
  const Shares::Offer* offer = find_offer(token);
  control::ShareAnswer answer;
  answer.token = token;
  int descriptor = -1;
  if (offer != nullptr) {
    answer.kind = offer->kind;
    answer.data = offer->data;
    descriptor = offer->descriptor.get();
  }
  // A worker that does not read learns nothing: it asked, and it alone waits.
  (void)control::send_message(control_->descriptor(), answer, std::span<const int>(&descriptor, descriptor < 0 ? 0 : 1),
                              control::Deadline::after(std::chrono::milliseconds(0)));
}

void Client::reclaim(KillReason reason) {
  if (reclaiming_) return;
  reclaiming_ = true;
  peer_gone_.reset();
  if (reason == KillReason::client_gone)
    limiter_.write(log::Level::info, vm_, "client {}{} is gone; ending worker {}", id_,
                   peer_socket_ ? fmt::format(" (pid {})", guest_->peer.pid) : "", worker_->pid());
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
      worker_->pid(), id_, vm_, kill_timeout_.count(), worker_->pid());
  if (events_.stuck) events_.stuck();
}

void Client::finish(control::WorkerExit exit) {
  const bool was_reclaimed = std::exchange(reclaiming_, true);
  ended_ = true;
  kill_deadline_.cancel();
  if (control_) {
    // What it said last must not be lost to the order of events.
    for (auto frame = control::read_packet(control_->descriptor()); frame && may_send(frame->header().type);
         frame = control::read_packet(control_->descriptor()))
      handle_worker_message(std::move(*frame));
    control_.reset();
  }
  const bool expected = exit.kind == control::ExitClass::clean || exit.kind == control::ExitClass::client_gone ||
                        exit.kind == control::ExitClass::revoked;
  const auto usage = grant_.usage();
  limiter_.write(expected ? log::Level::info : log::Level::warning, vm_,
                 "worker {} of client {} ended: {}; {} records{}", worker_->pid(), id_, control::describe(exit),
                 usage.records, quarantined_ ? "; its quarantine is over" : "");
  window_.set_exit_class(control::to_word(exit));
  if (!was_reclaimed) window_.set_peer_status(VGPU_PEER_LOST);
  window_.wake_sleepers();
  peer_gone_.reset();
  peer_socket_.reset();
  events_.finished(id_, exit);
}

}  // namespace vgpu::broker::vm
