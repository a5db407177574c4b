// A connection that has not yet said hello: reads the message, within the deadline, and nothing else.
#pragma once

#include <chrono>
#include <functional>

#include "broker/admission.hpp"
#include "broker/event/event.hpp"
#include "common/base/peer.hpp"
#include "common/control/frame.hpp"
#include "common/control/messages.hpp"
#include "common/control/negotiate.hpp"

namespace vgpu::broker::listener {

/// A connected process with a place and, once greeted, what it said.
struct Guest {
  base::UniqueFd connection;
  base::Peer peer;
  Admission::Ticket ticket;
};

/// What came of a greeting.
struct Greeted {
  Guest guest;
  control::HelloStatus status;  // ok, or why it is to be refused
  std::string text;             // the sentence for a refusal
  control::Hello hello;         // checked only in size; with ok
  control::Agreement agreement;
};

class Greeting {
 public:
  /// `on_done` is called once, unless the greeting is destroyed first. It may destroy the greeting only by
  /// event::defer.
  Greeting(event::Loop& loop, Guest guest, std::chrono::milliseconds timeout, std::function<void(Greeted)> on_done);

 private:
  void read();
  void judge();
  void finish(control::HelloStatus status, std::string text);

  Guest guest_;  // its connection is in readable_ while we read
  std::function<void(Greeted)> on_done_;
  control::FrameParser parser_{control::MessageType::hello};
  control::Agreement agreement_;
  event::Timer deadline_;
  std::optional<event::Readable> readable_;
};

}  // namespace vgpu::broker::listener
