#include "broker/listener/greeting.hpp"

#include "common/control/socket_io.hpp"

namespace vgpu::broker::listener {

using control::FrameParser;
using control::HelloStatus;

Greeting::Greeting(event::Loop& loop, Guest guest, std::chrono::milliseconds timeout,
                   std::function<void(Greeted)> on_done)
    : guest_(std::move(guest)), on_done_(std::move(on_done)), deadline_(loop) {
  deadline_.start(timeout, [this] { finish(HelloStatus::malformed, "no complete hello came in time"); });
  readable_.emplace(loop, std::move(guest_.connection), [this] { read(); });
}

void Greeting::read() {
  const auto result = control::read_some(readable_->descriptor(), parser_);
  switch (result.status) {
    case control::ReadStatus::would_block:
      return;
    case control::ReadStatus::closed:
      return finish(HelloStatus::malformed, "it closed the connection without a hello");
    case control::ReadStatus::error:
      return finish(HelloStatus::malformed, "its connection broke before a hello");
    case control::ReadStatus::progress:
      break;
  }
  if (parser_.state() != FrameParser::State::incomplete) judge();
}

void Greeting::judge() {
  if (parser_.state() == FrameParser::State::failed) return finish(HelloStatus::malformed, parser_.failure());
  const auto header = parser_.frame().header();
  // Of another major version only the header can be read: enough for a sentence that names both.
  const bool readable = parser_.state() == FrameParser::State::complete;
  const auto oldest = readable ? parser_.frame().as<control::Hello>().oldest_minor : header.version.minor;
  const auto features = readable ? parser_.frame().as<control::Hello>().features : 0;
  const auto agreement = control::negotiate({header.version, oldest, features},
                                            control::host_offer(control::kVersion, control::kFeatures));
  if (!agreement) return finish(HelloStatus::version, agreement.error().text);
  agreement_ = *agreement;
  finish(HelloStatus::ok, {});
}

void Greeting::finish(HelloStatus status, std::string text) {
  deadline_.cancel();
  guest_.connection = readable_->release();
  control::Hello hello;
  if (status == HelloStatus::ok) hello = parser_.frame().as<control::Hello>();
  on_done_({std::move(guest_), status, std::move(text), hello, agreement_});
}

}  // namespace vgpu::broker::listener
