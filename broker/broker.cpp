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
      clients_(loop, config.max_clients, config.socket + ".roster"),
      vms_(loop, config_, clients_),
      reception_(loop, config_, clients_, vms_),
      doors_(loop, config_, clients_.guest_limiter(),
             [this](const auto& entrance, base::UniqueFd c) { reception_.receive(entrance, std::move(c)); }),
      shutdown_deadline_(loop) {
  clients_.on_gone([this] { continue_shutdown(); });
}

base::Result<void> Broker::start() {
  raise_descriptor_limit();
  auto worker = supervisor::find_worker(config_.worker);
  if (!worker) return worker.error();
  clients_.configure({*worker, config_.driver, config_.log_level, config_.kill_timeout});
  std::signal(SIGPIPE, SIG_IGN);
  signals_.emplace(loop_, restart::kSignals, [this](int signal) { on_signal(signal); });
  restart::hold_signals(false);
  if (auto made = doors_.make_main(relaunch_.inherited()); !made) return made.error();
  // Before anybody is admitted: they count.
  clients_.take_back([this](const restart::Entry& entry, int window) { return find_events(entry, window); });
  if (auto made = doors_.make_others(); !made) return made.error();
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
  if (signal == SIGHUP) return reload();
  if (signal == SIGUSR1) return log_accounts();
  if (signal == SIGUSR2) return begin_relaunch();
  begin_shutdown(signal);
}

void Broker::log_accounts() {
  log::info("accounts: clients {}, greetings {}, places {}, workers {}, quarantined {}, descriptors {}",
            clients_.count(), reception_.count(), clients_.admission().count(), clients_.count(),
            clients_.count_quarantined(), count_descriptors());
}

// Nobody new is let in, those who are saying hello get their answer (or run into hello_timeout), then it happens.
void Broker::begin_relaunch() {
  if (relaunching_) return;
  const auto loaded = options_.load();
  for (const auto& error : loaded.errors) log::error("{}", error);
  if (!loaded.errors.empty()) return log::error("not relaunched: the configuration has errors");
  relaunching_ = true;
  doors_.close();
  reception_.finish([this] { relaunch(); });
}

void Broker::relaunch() {
  log::info("relaunching {}: {} client(s) go on", relaunch_.program(), clients_.count());
  const int code = relaunch_.execute(doors_.main_descriptors());
  log::error("not relaunched: cannot execute {}: {}", relaunch_.program(), std::generic_category().message(code));
  relaunching_ = false;
  doors_.open();
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

void Broker::reload() {
  const auto loaded = options_.load();
  for (const auto& error : loaded.errors) log::error("{}", error);
  if (!loaded.errors.empty()) return log::error("the configuration stays as it was");
  config_.log_level = clients_.settings().log_level = loaded.config.log_level;
  log::open("vgpu-broker", config_.level());
  log::info("log level is now {}; other settings take effect at the next start", config_.log_level);
}

// Shutdown: accept nobody -> revoke and kill -> wait for the exits, not for ever -> remove the socket.
void Broker::begin_shutdown(int signal) {
  stopping_ = true;
  relaunching_ = false;
  log::info("shutting down on signal {}: {} client(s) to end", signal, clients_.count());
  base::notify_service("STOPPING=1");
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
  signals_.reset();
  doors_.remove_main();
  log::info("shut down");
}

}  // namespace vgpu::broker
