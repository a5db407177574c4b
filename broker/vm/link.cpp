#include "broker/vm/link.hpp"

namespace vgpu::broker::vm {
namespace {

using control::FrameParser;
using control::MessageType;

// Per turn of the loop, so that a stub that floods us does not starve others.
constexpr int kMessagesPerTurn = 16;

FrameParser first_parser() { return FrameParser(MessageType::stub_hello); }
FrameParser later_parser() { return {MessageType::open, MessageType::close, MessageType::legacy_request}; }

}  // namespace

Link::Link(event::Loop& loop, base::UniqueFd connection, base::Peer peer, std::chrono::milliseconds timeout,
           LinkEvents events)
    : peer_(std::move(peer)),
      events_(std::move(events)),
      hello_deadline_(loop),
      broken_(loop),
      parser_(first_parser()) {
  hello_deadline_.start(timeout, [this] { fail("it said no complete hello in time"); });
  readable_.emplace(loop, std::move(connection), [this] { on_readable(); });
}

void Link::on_readable() {
  for (int i = 0; i < kMessagesPerTurn && is_open(); ++i) {
    const auto result = control::read_some(readable_->descriptor(), *parser_);
    if (result.status == control::ReadStatus::would_block) return;
    if (result.status == control::ReadStatus::closed) return fail("it closed the connection");
    if (result.status == control::ReadStatus::error) return fail("its connection broke");
    if (parser_->state() != FrameParser::State::incomplete) take_message();
  }
}

void Link::take_message() {
  if (parser_->state() == FrameParser::State::failed) return fail(parser_->failure());
  if (parser_->state() == FrameParser::State::foreign_version) return fail("it speaks another major version");
  hello_deadline_.cancel();
  auto frame = std::move(parser_->frame());
  parser_.emplace(later_parser());
  events_.message(frame);
}

void Link::send_bytes(const void* data, std::size_t size, std::span<const int> fds) {
  if (!is_open()) return;
  const auto sent = control::send_bytes(readable_->descriptor(), data, size, fds,
                                        control::Deadline::after(std::chrono::milliseconds(0)));
  if (!sent) broken_.start(std::chrono::milliseconds(0), [this, text = sent.error().text] { fail(text); });
}

void Link::fail(const std::string& reason) {
  if (!is_open()) return;
  const auto said = reason;  // its owner may go with what is cancelled
  close();
  events_.closed(said);
}

void Link::close() {
  hello_deadline_.cancel();
  broken_.cancel();
  readable_.reset();
  peer_.pidfd.reset();
}

}  // namespace vgpu::broker::vm
