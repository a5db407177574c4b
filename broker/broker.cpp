#include "broker/broker.hpp"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>

#include "broker/restart/relaunch.hpp"
#include "broker/restart/take_back.hpp"
#include "broker/service_notify.hpp"
#include "broker/supervisor/worker_launch.hpp"
#include "common/base/log.hpp"
#include "common/control/exit_class.hpp"

namespace vgpu::broker {
namespace {

using control::HelloStatus;

// One client's life is about five lines. A user who starts programs in a loop gets this many into the log.
constexpr unsigned kLogBurst = 500;
constexpr unsigned kLogPerSecond = 50;
constexpr std::chrono::milliseconds kHeartbeat{1000};
// Workers are given this much longer than kill_timeout when the broker ends.
constexpr std::chrono::milliseconds kShutdownGrace{500};

// Seven descriptors a client: the soft limit of 1024 is for programs that use select().
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::size_t count_descriptors() {
  std::error_code ignored;
  const std::filesystem::directory_iterator folder("/proc/self/fd", ignored);
  const auto entries = std::distance(begin(folder), end(folder));
  return entries > 0 ? static_cast<std::size_t>(entries) - 1 : 0;  // less the one that lists them
}

}  // namespace

Broker::Broker(event::Loop& loop, const Options& options, const Config& config)
    : loop_(loop),
      options_(options),
      config_(config),
      limiter_(kLogBurst, kLogPerSecond),
      admission_(config.max_clients, config.max_clients_per_uid),
      relaunch_(options.command_line),
      roster_(config.socket + ".roster"),
      heartbeat_(loop),
      shutdown_deadline_(loop) {}

base::Result<void> Broker::start() {
  raise_descriptor_limit();
  auto worker = supervisor::find_worker(config_.worker);
  if (!worker) return worker.error();
  client_settings_ = {*worker, config_.driver, config_.log_level, config_.window_size, config_.kill_timeout};
  std::signal(SIGPIPE, SIG_IGN);
  signals_.emplace(loop_, restart::kSignals, [this](int signal) { on_signal(signal); });
  restart::hold_signals(false);
  if (auto listening = listen(); !listening) return listening.error();
  // Before anybody is admitted: they count.
  take_back_clients();
  accept_from(socket_->take_descriptor());
  log::info("listening on {} (mode {:04o}, driver {}, worker {})", config_.socket, config_.socket_mode, config_.driver,
            *worker);
  return {};
}

base::Result<void> Broker::listen() {
  if (const auto& inherited = relaunch_.inherited()) {
    if (auto socket = listener::ListenSocket::adopt(config_.socket, *inherited)) {
      socket_.emplace(std::move(*socket));
      return {};
    }
  }
  auto socket = listener::ListenSocket::create(config_.socket, {config_.socket_mode, config_.socket_group});
  if (!socket) return socket.error();
  socket_.emplace(std::move(*socket));
  return {};
}

void Broker::take_back_clients() {
  const auto predecessor = roster_.read();
  if (!predecessor) return log::error("{}; workers of an earlier broker stay on their own", predecessor.error().text);
  next_id_ = predecessor->next_id;
  if (predecessor->entries.empty()) return;
  auto alive = predecessor->entries;
  std::erase_if(alive, [this](const restart::Entry& entry) { return !take_back_client(entry); });
  roster_.replace(alive, next_id_);
}

bool Broker::take_back_client(const restart::Entry& entry) {
  auto taken = restart::take_back(entry);
  if (!taken && taken.error().code == ESRCH) {
    log::info("worker {} of client {} has ended while no broker served", entry.worker.pid, entry.id);
    return false;
  }
  if (!taken) {
    log::error("worker {} of client {} (uid {}) stays on its own: {}", entry.worker.pid, entry.id, entry.uid,
               taken.error().text);
    return true;  // the next broker may succeed
  }
  log::info("took back client {}: worker {} (pid {} of the client, uid {})", entry.id, entry.worker.pid,
            entry.client.pid, entry.uid);
  keep(vm::Client::take_back(loop_, std::move(*taken), admission_.take_back(entry.uid), client_settings_, limiter_,
                             [this](std::uint64_t finished) { on_client_finished(finished); }));
  return true;
}

void Broker::keep(std::unique_ptr<vm::Client> client) {
  clients_[client->id()] = std::move(client);
  if (!heartbeat_.is_running()) heartbeat_.start(kHeartbeat, [this] { beat(); });
}

void Broker::on_signal(int signal) {
  if (stopping_) return;
  if (signal == SIGHUP) return reload();
  if (signal == SIGUSR1) return log_accounts();
  if (signal == SIGUSR2) return begin_relaunch();
  begin_shutdown(signal);
}

void Broker::log_accounts() {
  const auto quarantined =
      std::count_if(clients_.begin(), clients_.end(), [](const auto& one) { return one.second->is_quarantined(); });
  log::info("accounts: clients {}, greetings {}, places {}, workers {}, quarantined {}, descriptors {}",
            clients_.size(), greetings_.size(), admission_.count(), clients_.size(), quarantined, count_descriptors());
}

// Nobody new is let in, those who are saying hello get their answer (or run into hello_timeout), then it happens.
void Broker::begin_relaunch() {
  if (relaunching_) return;
  const auto loaded = options_.load();
  for (const auto& error : loaded.errors) log::error("{}", error);
  if (!loaded.errors.empty()) return log::error("not relaunched: the configuration has errors");
  relaunching_ = true;
  held_socket_ = acceptor_->release();
  acceptor_.reset();
  if (greetings_.empty()) relaunch();
}

void Broker::relaunch() {
  log::info("relaunching {}: {} client(s) go on", relaunch_.program(), clients_.size());
  const int code = relaunch_.execute({held_socket_.get(), socket_->lock_descriptor()});
  log::error("not relaunched: cannot execute {}: {}", relaunch_.program(), std::generic_category().message(code));
  relaunching_ = false;
  accept_from(std::move(held_socket_));
}

void Broker::accept_from(base::UniqueFd socket) {
  acceptor_.emplace(loop_, std::move(socket), [this](base::UniqueFd c) { on_connection(std::move(c)); });
  // Whoever waits already comes before any signal: relaunched again and again, we serve all the same.
  acceptor_->accept_some();
}

void Broker::relaunch_in_need() {
  if (stopping_) return;
  // While memory stays short this happens again and again: not more than five times a second.
  constexpr timespec kPause{0, 200'000'000};
  nanosleep(&kPause, nullptr);
  if (acceptor_) held_socket_ = acceptor_->release();
  if (!held_socket_) return;  // not yet listening
  (void)relaunch_.execute({held_socket_.get(), socket_->lock_descriptor()});
}

void Broker::reload() {
  const auto loaded = options_.load();
  for (const auto& error : loaded.errors) log::error("{}", error);
  if (!loaded.errors.empty()) return log::error("the configuration stays as it was");
  config_.log_level = client_settings_.log_level = loaded.config.log_level;
  log::open("vgpu-broker", config_.level());
  log::info("log level is now {}; other settings take effect at the next start", config_.log_level);
}

void Broker::on_connection(base::UniqueFd connection) {
  auto peer = listener::identify_peer(connection.get());
  if (!peer) {
    limiter_.write(log::Level::warning, static_cast<uid_t>(-1), "refused a connection: {}", peer.error().text);
    return listener::send_refusal(connection.get(), HelloStatus::internal, peer.error().text);
  }
  std::string refusal;
  auto ticket = admission_.admit(peer->uid, refusal);
  if (!ticket) {
    limiter_.write(log::Level::warning, peer->uid, "refused pid {} (uid {}): {}", peer->pid, peer->uid, refusal);
    return listener::send_refusal(connection.get(), HelloStatus::limit, refusal);
  }
  const auto id = next_id_++;
  greetings_[id] = std::make_unique<listener::Greeting>(
      loop_, listener::Guest{std::move(connection), std::move(*peer), std::move(*ticket)}, config_.hello_timeout,
      [this, id](listener::Greeted greeted) { on_greeted(id, std::move(greeted)); });
}

void Broker::on_greeted(std::uint64_t id, listener::Greeted greeted) {
  event::defer(loop_, [this, id] {
    greetings_.erase(id);
    if (relaunching_ && greetings_.empty()) relaunch();
  });
  if (greeted.status != HelloStatus::ok) return refuse(greeted);
  admit(id, std::move(greeted));
}

void Broker::refuse(const listener::Greeted& greeted) {
  const auto& peer = greeted.guest.peer;
  limiter_.write(log::Level::warning, peer.uid, "refused pid {} (uid {}): {}", peer.pid, peer.uid, greeted.text);
  listener::send_refusal(greeted.guest.connection.get(), greeted.status, greeted.text);
}

void Broker::admit(std::uint64_t id, listener::Greeted greeted) {
  const auto pid = greeted.guest.peer.pid;
  const auto uid = greeted.guest.peer.uid;
  limiter_.write(log::Level::info, uid, "client {} connected: pid {}, uid {}, \"{}\"", id, pid, uid,
                 control::get_text(greeted.hello.label));
  auto client = vm::Client::create(loop_, id, greeted, client_settings_, limiter_,
                                   [this](std::uint64_t finished) { on_client_finished(finished); });
  if (!client) {
    greeted.status = HelloStatus::internal;
    greeted.text = client.error().text;
    return refuse(greeted);
  }
  limiter_.write(log::Level::info, uid, "client {}: worker {} started", id, (*client)->worker_pid());
  // On the roster before it is answered: a broker that comes after us finds every client that may go on.
  roster_.add((*client)->roster_entry(), next_id_);
  (*client)->answer(greeted.agreement);
  keep(std::move(*client));
}

void Broker::on_client_finished(std::uint64_t id) {
  event::defer(loop_, [this, id] {
    clients_.erase(id);
    roster_.remove(id);
    if (clients_.empty()) heartbeat_.cancel();  // without clients the broker sleeps
    if (stopping_) continue_shutdown();
  });
}

void Broker::beat() {
  const auto now = shm::monotonic_ms();
  for (auto& [id, client] : clients_) client->beat(now);
  heartbeat_.start(kHeartbeat, [this] { beat(); });
}

// Shutdown: accept nobody -> revoke and kill -> wait for the exits, not for ever -> remove the socket.
void Broker::begin_shutdown(int signal) {
  stopping_ = true;
  relaunching_ = false;
  log::info("shutting down on signal {}: {} client(s) to end", signal, clients_.size());
  notify_service("STOPPING=1");
  acceptor_.reset();
  greetings_.clear();
  for (auto& [id, client] : clients_) client->revoke();
  shutdown_deadline_.start(config_.kill_timeout + kShutdownGrace, [this] { end_shutdown(); });
  continue_shutdown();
}

void Broker::continue_shutdown() {
  if (clients_.empty()) end_shutdown();
}

void Broker::end_shutdown() {
  if (!socket_) return;  // already ended
  for (const auto& [id, client] : clients_) {
    log::error("ALARM: leaving worker {} of client {} behind: it does not die", client->worker_pid(), id);
    client->abandon();
  }
  exit_code_ = clients_.empty() ? 0 : control::kExitInternal;
  if (clients_.empty()) roster_.discard();
  shutdown_deadline_.cancel();
  heartbeat_.cancel();
  signals_.reset();
  socket_.reset();
  log::info("shut down");
  clients_.clear();
}

}  // namespace vgpu::broker
