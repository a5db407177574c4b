#include "broker/broker.hpp"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>

#include "broker/admin/reports.hpp"
#include "broker/restart/relaunch.hpp"
#include "broker/supervisor/worker_launch.hpp"
#include "common/base/log.hpp"
#include "common/base/service_notify.hpp"
#include "common/control/exit_class.hpp"

namespace vgpu::broker {
namespace {

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
      clients_(loop, config.max_clients, config.socket),
      vms_(loop, config_, clients_),
      reception_(loop, config_, clients_, vms_),
      doors_(loop, config_, clients_.guest_limiter(),
             [this](const auto& entrance, base::UniqueFd c) { reception_.receive(entrance, std::move(c)); }),
      shutdown_deadline_(loop),
      office_({clients_, vms_, config_, options.config_path, [this] { return list_sockets(); },
               [this] { return reload(); }}) {
  clients_.on_gone([this] { continue_shutdown(); });
}

base::Result<void> Broker::start() {
  raise_descriptor_limit();
  auto worker = supervisor::find_worker(config_.worker);
  if (!worker) return worker.error();
  clients_.configure(
      {*worker, config_.driver, config_.log_level, config_.kill_timeout, config_.log_format, config_.log_file});
  std::signal(SIGPIPE, SIG_IGN);
  signals_.emplace(loop_, restart::kSignals, [this](int signal) { on_signal(signal); });
  restart::hold_signals(false);
  if (auto made = doors_.make_main(relaunch_.inherited()); !made) return made.error();
  clients_.restore_quarantine();
  // Before anybody is admitted: they count.
  clients_.take_back([this](const restart::Entry& entry, int window) { return find_events(entry, window); });
  if (auto made = doors_.make_others(); !made) return made.error();
  admin_.emplace(loop_, admin::Server::Settings{config_.admin_socket, config_.admin_group}, office_,
                 clients_.limiter());
  if (auto listening = admin_->listen(); !listening) return listening.error();
  pulse_.emplace(loop_, clients_, std::chrono::seconds(config_.heartbeat_s));
  doors_.open();
  log::info("listening on {} (mode {:04o}, driver {}, worker {})", config_.socket, config_.socket_mode, config_.driver,
            *worker);
  return {};
}

std::optional<vm::ClientEvents> Broker::find_events(const restart::Entry& entry, int window) {
  return entry.place ? vms_.take_back(entry, window) : vm::ClientEvents{};
}

void Broker::on_signal(int signal) {
  if (stopping_) return;
  if (signal == SIGHUP) return static_cast<void>(reload());
  if (signal == SIGUSR1) return log_accounts();
  if (signal == SIGUSR2) return begin_relaunch();
  if (signal == SIGQUIT) return begin_step_down();
  begin_shutdown(signal);
}

void Broker::log_accounts() {
  log::info("accounts: clients {}, greetings {}, places {}, workers {}, quarantined {}, descriptors {}",
            clients_.count(), reception_.count(), clients_.admission().count(), clients_.count(),
            clients_.count_quarantined(), count_descriptors());
}

// Nobody new is let in, those who are saying hello get their answer (or run into hello_timeout), then it happens.
void Broker::begin_relaunch() {
  if (relaunching_ || stepping_down_) return;
  const auto loaded = options_.load();
  for (const auto& error : loaded.errors) log::error("{}", error);
  if (!loaded.errors.empty()) return log::error("not relaunched: the configuration has errors");
  relaunching_ = true;
  doors_.close();
  reception_.finish([this] { relaunch_without_signals(); });
}

// Signals that come from now on wait for the next run. Those that have come lie in the loop, and would be lost with it:
// one round takes them off their pipe, another calls back.
void Broker::relaunch_without_signals() {
  restart::hold_signals(true);
  event::defer(loop_, [this] { event::defer(loop_, [this] { relaunch(); }); });
}

void Broker::relaunch() {
  if (!relaunching_ || stepping_down_) return;  // one of them was to end us
  log::info("relaunching {}: {} client(s) go on", relaunch_.program(), clients_.count());
  clients_.save();
  vms_.end_legacy();
  const int code = relaunch_.execute(doors_.main_descriptors());
  log::error("not relaunched: cannot execute {}: {}", relaunch_.program(), std::generic_category().message(code));
  relaunching_ = false;
  doors_.open();
}

// The service manager stops us, and perhaps starts another: clients and workers are not to notice.
void Broker::begin_step_down() {
  if (stepping_down_) return;
  stepping_down_ = true;
  base::notify_service("STOPPING=1");
  // Closed, not removed: programs that start now see the files, and try again until the next broker listens.
  doors_.shut();
  reception_.finish([this] { step_down(); });
}

// As a crash, but on purpose: without destructors, which would end the workers and remove the files.
void Broker::step_down() {
  clients_.save();
  log::info("stepped down: {} client(s) go on; the next broker takes them back", clients_.count());
  _exit(0);
}

void Broker::relaunch_in_need() {
  if (stopping_) return;
  // While memory stays short this happens again and again: not more than five times a second.
  constexpr timespec kPause{0, 200'000'000};
  nanosleep(&kPause, nullptr);
  if (!doors_.has_main()) return;
  doors_.close();
  (void)relaunch_.execute(doors_.main_descriptors());
}

std::vector<std::string> Broker::reload() {
  const auto loaded = options_.load();
  for (const auto& error : loaded.errors) log::error("{}", error);
  if (!loaded.errors.empty()) {
    log::error("the configuration stays as it was");
    return loaded.errors;
  }
  if (const auto opened = log::open("vgpu-broker", loaded.config.logging()); !opened) {
    log::error("{}; the configuration stays as it was", opened.error().text);
    return {opened.error().text};
  }
  auto& settings = clients_.settings();
  config_.log_level = settings.log_level = loaded.config.log_level;
  config_.log_format = settings.log_format = loaded.config.log_format;
  config_.log_file = settings.log_file = loaded.config.log_file;
  log::info("log level is now {}; other settings take effect at the next start", config_.log_level);
  return {};
}

std::vector<admin::SocketReport> Broker::list_sockets() const {
  std::vector<admin::SocketReport> sockets = {
      {"admin", config_.admin_socket, config_.admin_group.empty() ? 0600u : 0660u, config_.admin_group, {}, {}, {}}};
  for (const auto& entrance : doors_.list()) sockets.push_back(admin::report_socket(entrance, config_));
  return sockets;
}

// Shutdown: accept nobody -> revoke and kill -> wait for the exits, not for ever -> remove the socket.
void Broker::begin_shutdown(int signal) {
  stopping_ = true;
  relaunching_ = stepping_down_ = false;
  log::info("shutting down on signal {}: {} client(s) to end", signal, clients_.count());
  base::notify_service("STOPPING=1");
  admin_.reset();
  pulse_.reset();
  doors_.remove_others();
  reception_.clear();
  vms_.stop();
  clients_.revoke_all();
  shutdown_deadline_.start(config_.kill_timeout + kShutdownGrace, [this] { end_shutdown(); });
  continue_shutdown();
}

void Broker::continue_shutdown() {
  if (stopping_ && clients_.count() == 0) end_shutdown();
}

void Broker::end_shutdown() {
  if (!doors_.has_main()) return;  // already ended
  exit_code_ = clients_.abandon_all() ? 0 : control::kExitInternal;
  shutdown_deadline_.cancel();
  restart::hold_signals(true);  // one more on the way out is not to end us by itself
  signals_.reset();
  doors_.remove_main();
  log::info("shut down");
}

}  // namespace vgpu::broker
