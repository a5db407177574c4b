#include "broker/broker.hpp"

#include <sys/resource.h>
#include <time.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "broker/restart/relaunch.hpp"
#include "broker/supervisor/worker_launch.hpp"
#include "common/base/log.hpp"
#include "common/base/service_notify.hpp"
#include "common/control/exit_class.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::broker {
namespace {

using control::HelloStatus;

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
      relaunch_(options.command_line),
      clients_(loop, config.max_clients, config.socket + ".roster"),
      shutdown_deadline_(loop) {
  clients_.on_gone([this] { continue_shutdown(); });
  for (const auto& vm : config.vms) vms_.push_back(std::make_unique<vm::Vm>(loop, vm, clients_, config.hello_timeout));
}

base::Result<void> Broker::start() {
  raise_descriptor_limit();
  auto worker = supervisor::find_worker(config_.worker);
  if (!worker) return worker.error();
  clients_.configure({*worker, config_.driver, config_.log_level, config_.kill_timeout});
  std::signal(SIGPIPE, SIG_IGN);
  signals_.emplace(loop_, restart::kSignals, [this](int signal) { on_signal(signal); });
  restart::hold_signals(false);
  if (auto listening = listen(); !listening) return listening.error();
  // Before anybody is admitted: they count.
  clients_.take_back([this](const restart::Entry& entry, int window) { return find_events(entry, window); });
  for (const auto& vm : vms_)
    if (auto listening = vm->listen(); !listening) return listening.error();
  accept_from(socket_->take_descriptor());
  log::info("listening on {} (mode {:04o}, driver {}, worker {})", config_.socket, config_.socket_mode, config_.driver,
            *worker);
  return {};
}

base::Result<void> Broker::listen() {
  if (const auto& inherited = relaunch_.inherited()) {
    if (auto socket = base::ListenSocket::adopt(config_.socket, *inherited)) {
      socket_.emplace(std::move(*socket));
      return {};
    }
  }
  auto socket = base::ListenSocket::create(config_.socket, {config_.socket_mode, config_.socket_group});
  if (!socket) return socket.error();
  socket_.emplace(std::move(*socket));
  return {};
}

std::optional<vm::ClientEvents> Broker::find_events(const restart::Entry& entry, int window) {
  if (!entry.place) return vm::ClientEvents{};
  for (const auto& vm : vms_)
    if (vm->name() == entry.place->vm) return vm->take_back(entry, window);
  log::warning("client {} belongs to VM {}, which the configuration does not have any more", entry.id, entry.place->vm);
  return std::nullopt;
}

void Broker::on_signal(int signal) {
  if (stopping_) return;
  if (signal == SIGHUP) return reload();
  if (signal == SIGUSR1) return log_accounts();
  if (signal == SIGUSR2) return begin_relaunch();
  begin_shutdown(signal);
}

void Broker::log_accounts() {
  log::info("accounts: clients {}, greetings {}, places {}, workers {}, quarantined {}, descriptors {}",
            clients_.count(), greetings_.size(), clients_.admission().count(), clients_.count(),
            clients_.count_quarantined(), count_descriptors());
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
  log::info("relaunching {}: {} client(s) go on", relaunch_.program(), clients_.count());
  for (const auto& vm : vms_) vm->end_legacy();
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
  config_.log_level = clients_.settings().log_level = loaded.config.log_level;
  log::open("vgpu-broker", config_.level());
  log::info("log level is now {}; other settings take effect at the next start", config_.log_level);
}

void Broker::on_connection(base::UniqueFd connection) {
  auto peer = base::identify_peer(connection.get());
  if (!peer) {
    clients_.limiter().write(log::Level::warning, "unknown peers", "refused a connection: {}", peer.error().text);
    return control::send_refusal(connection.get(), HelloStatus::internal, peer.error().text);
  }
  std::string refusal;
  const auto vm = vm::vm_name(peer->uid);
  auto ticket = clients_.admission().admit(vm, {config_.max_clients_per_uid, "max_clients_per_uid"}, refusal);
  if (!ticket) {
    clients_.limiter().write(log::Level::warning, vm, "refused pid {} (uid {}): {}", peer->pid, peer->uid, refusal);
    return control::send_refusal(connection.get(), HelloStatus::limit, refusal);
  }
  const auto id = clients_.take_id();
  greetings_[id] = std::make_unique<listener::Greeting>(
      loop_, listener::Guest{std::move(connection), std::move(*peer), std::move(*ticket)}, config_.hello_timeout,
      [this, id](listener::Greeted greeted) { on_greeted(id, std::move(greeted)); });
}

void Broker::on_greeted(std::uint64_t id, listener::Greeted greeted) {
  event::defer(loop_, [this, id] {
    greetings_.erase(id);
    if (relaunching_ && greetings_.empty()) relaunch();
  });
  if (greeted.status != HelloStatus::ok) return refuse(greeted.guest, greeted.status, greeted.text);
  admit(id, std::move(greeted));
}

void Broker::refuse(const listener::Guest& guest, HelloStatus status, const std::string& text) {
  const auto& peer = guest.peer;
  clients_.limiter().write(log::Level::warning, vm::vm_name(peer.uid), "refused pid {} (uid {}): {}", peer.pid,
                           peer.uid, text);
  control::send_refusal(guest.connection.get(), status, text);
}

void Broker::admit(std::uint64_t id, listener::Greeted greeted) {
  const auto& peer = greeted.guest.peer;
  vm::Newcomer newcomer{id, vm::vm_name(peer.uid), {}, greeted.hello, greeted.agreement};
  clients_.limiter().write(log::Level::info, newcomer.vm, "client {} connected: pid {}, uid {}, \"{}\"", id, peer.pid,
                           peer.uid, control::get_text(greeted.hello.label));
  auto window = vm::Window::create(config_.window_size, id);
  if (!window) return refuse(greeted.guest, HelloStatus::internal, window.error().text);
  newcomer.guest.emplace(std::move(greeted.guest));
  auto client = clients_.start(newcomer, std::move(*window), config_.window_size, {}, {});
  if (client) return (*client)->answer();
  refuse(*newcomer.guest, HelloStatus::internal, client.error().text);
}

// Shutdown: accept nobody -> revoke and kill -> wait for the exits, not for ever -> remove the socket.
void Broker::begin_shutdown(int signal) {
  stopping_ = true;
  relaunching_ = false;
  log::info("shutting down on signal {}: {} client(s) to end", signal, clients_.count());
  base::notify_service("STOPPING=1");
  acceptor_.reset();
  greetings_.clear();
  for (const auto& vm : vms_) vm->stop();
  clients_.revoke_all();
  shutdown_deadline_.start(config_.kill_timeout + kShutdownGrace, [this] { end_shutdown(); });
  continue_shutdown();
}

void Broker::continue_shutdown() {
  if (stopping_ && clients_.count() == 0) end_shutdown();
}

void Broker::end_shutdown() {
  if (!socket_) return;  // already ended
  exit_code_ = clients_.abandon_all() ? 0 : control::kExitInternal;
  shutdown_deadline_.cancel();
  signals_.reset();
  socket_.reset();
  log::info("shut down");
}

}  // namespace vgpu::broker
