// The two lines by which operators see that a broker lives and works: HEARTBEAT, and "Total processed: N". They come at
// a fixed interval whether or not anything has happened: silence means that the broker is gone.
#pragma once

#include <chrono>

#include "broker/clients.hpp"
#include "broker/event/event.hpp"

namespace vgpu::broker {

class Pulse {
 public:
  /// `clients` outlives it.
  Pulse(event::Loop& loop, const Clients& clients, std::chrono::seconds interval);
  /// Writes them now.
  void write() const;

 private:
  void wait();

  const Clients& clients_;
  const std::chrono::seconds interval_;
  event::Timer timer_;
};

}  // namespace vgpu::broker
