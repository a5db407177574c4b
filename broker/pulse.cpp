#include "broker/pulse.hpp"

#include "common/base/log.hpp"

namespace vgpu::broker {

Pulse::Pulse(event::Loop& loop, const Clients& clients, std::chrono::seconds interval)
    : clients_(clients), interval_(interval), timer_(loop) {
  wait();
}

void Pulse::wait() {
  timer_.start(interval_, [this] {
    write();
    wait();
  });
}

void Pulse::write() const {
  const auto sum = sum_of(clients_.processed());
  auto total = sum.records;
  add_up(total, sum.legacy_requests);
  log::info("HEARTBEAT: {} client(s), {} stuck worker(s), {} VM(s) in quarantine", clients_.count(),
            clients_.count_quarantined(), clients_.quarantined().size());
  log::info("Total processed: {} ({} legacy requests, {} CUDA records)", total, sum.legacy_requests, sum.records);
}

}  // namespace vgpu::broker
