#include "broker/legacy/service.hpp"

#include <algorithm>

namespace vgpu::broker::legacy {
namespace {

// One is right; more come when a stub connects again before its old connection is gone, and from test programs.
constexpr std::size_t kMostConnections = 16;

// A request that is told has two lines.
constexpr unsigned kToldAtOnce = 50;
constexpr unsigned kToldPerSecond = 1;

WorkerSettings worker_settings(Clients& clients) {
  const auto& settings = clients.settings();
  return {settings.worker_path, settings.driver,   settings.log_level,
          settings.log_format,  settings.log_file, settings.kill_timeout};
}

}  // namespace

Service::Service(event::Loop& loop, DeskSettings settings, Clients& clients, std::chrono::milliseconds patience,
                 std::function<Standing()> standing)
    : loop_(loop),
      vm_(settings.vm),
      clients_(clients),
      patience_(patience),
      request_lines_(kToldAtOnce, kToldPerSecond),
      worker_(loop, vm_, [&clients] { return worker_settings(clients); }, clients.guest_limiter(),
              {[this](const control::LegacyResult& result) { desk_.on_result(result); },
               [this](const std::string& how) { desk_.on_end(how); }}),
      desk_(loop, std::move(settings), worker_,
            {[this] { return clients_.admission().is_quarantined(vm_); }, std::move(standing),
             [this] { clients_.totals().add_legacy(vm_); }},
            request_lines_),
      connections_(kMostConnections),
      sweep_(loop) {}

const base::Peer* Service::find_stub() const {
  const auto open = std::find_if(connections_.begin(), connections_.end(),
                                 [](const auto& one) { return one && one->descriptor() >= 0; });
  return open == connections_.end() ? nullptr : &(*open)->peer();
}

void Service::take_stub(base::UniqueFd connection, base::Peer peer) {
  const auto free = std::find(connections_.begin(), connections_.end(), nullptr);
  if (free == connections_.end()) {
    clients_.guest_limiter().write(log::Level::warning, vm_, "VM {}: refused pid {} (uid {}): {} stubs are connected",
                                   vm_, peer.pid, peer.uid, kMostConnections);
    return;
  }
  const auto slot = static_cast<std::size_t>(free - connections_.begin());
  *free = std::make_unique<StubConnection>(loop_, std::move(connection), std::move(peer), desk_, patience_,
                                           [this, slot](const std::string& why) { on_closed(slot, why); });
  clients_.guest_limiter().write(
      log::Level::info, vm_,
      "[PERSIST] fd={} registered for persistent polling (slot={}): VM {}, a stub of revision 2, pid {}, uid {}",
      (*free)->descriptor(), slot, vm_, (*free)->peer().pid, (*free)->peer().uid);
}

void Service::on_closed(std::size_t slot, const std::string& why) {
  clients_.guest_limiter().write(log::Level::info, vm_, "VM {}: its stub of revision 2 (pid {}) is gone: {}", vm_,
                                 connections_[slot]->peer().pid, why);
  closed_.push_back(std::move(connections_[slot]));
  sweep_.start(std::chrono::milliseconds(0), [this] { closed_.clear(); });
}

void Service::end_worker() {
  desk_.drop_all();
  worker_.end_now();
}

void Service::stop() {
  desk_.close();
  for (auto& connection : connections_) connection.reset();
  worker_.end_now();
}

}  // namespace vgpu::broker::legacy
