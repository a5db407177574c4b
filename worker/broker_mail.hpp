// What the broker answers to this worker, taken off its socket without waiting and kept for whoever asked.
#pragma once

#include <map>

#include "common/base/result.hpp"
#include "common/control/frame.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::worker {

class BrokerMail {
 public:
  /// `control`: the socket to the broker; stays the caller's.
  explicit BrokerMail(int control) : control_(control) {}

  /// The next answer of this type. Error code EAGAIN: none yet; any other: there will be none.
  base::Result<control::Frame> take(control::MessageType type);
  /// Without waiting; false if the broker is gone or deaf.
  template <typename Message>
  bool send(const Message& message, int descriptor = -1);

 private:
  bool send_frame(const void* message, std::size_t size, int descriptor);

  const int control_;
  std::multimap<control::MessageType, control::Frame> kept_;
};

template <typename Message>
bool BrokerMail::send(const Message& message, int descriptor) {
  const Message whole = control::complete(message, descriptor < 0 ? 0 : 1);
  return send_frame(&whole, sizeof whole, descriptor);
}

}  // namespace vgpu::worker
