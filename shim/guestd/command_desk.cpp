#include "shim/guestd/command_desk.hpp"

#include "common/base/log.hpp"

namespace vgpu::guestd {
namespace {

// The device has no interrupt for us. A worker's start takes some milliseconds; what takes longer takes much longer.
constexpr unsigned kQuickLooks = 50;
constexpr int kQuickMs = 1;
constexpr int kSlowMs = 5;

}  // namespace

void CommandDesk::begin(Finished command) {
  current_ = std::move(command);
  deadline_ = control::Deadline::after(open_time_);
  looks_ = 0;
}

void CommandDesk::take_over() {
  if (mailbox_.is_busy()) begin({});
}

void CommandDesk::begin_open(Waiting waiting) {
  const auto hello = waiting.hello;
  begin({.kind = Finished::Kind::open, .client = std::move(waiting)});
  mailbox_.open(hello);
}

void CommandDesk::begin_close(uint32_t channel) {
  begin({.kind = Finished::Kind::close, .channel = channel});
  mailbox_.close(channel);
}

void CommandDesk::watch(PollSet& polls) {
  if (!current_) return;
  polls.wait_at_most(looks_ < kQuickLooks ? kQuickMs : kSlowMs);
  if (current_->client) polls.add(current_->client->client.connection.get(), [this] { let_client_go(); });
}

void CommandDesk::let_client_go() {
  if (current_ && current_->client && has_ended(current_->client->client)) current_->client.reset();
}

std::optional<Finished> CommandDesk::look() {
  if (!current_) return {};
  ++looks_;
  const uint32_t status = mailbox_.status();
  if (status != VGPU_COMMAND_BUSY) {
    std::optional<Finished> finished = std::move(current_);
    current_.reset();
    finished->status = status;
    return finished;
  }
  if (current_->client && deadline_.passed()) {
    refuse(current_->client->client, control::HelloStatus::internal,
           "the device did not answer in time: the broker on the host is overloaded or stopped");
    log::warning("the device has been busy with one command for {} ms; its log and the broker's say why",
                 open_time_.count());
    current_->client.reset();
  }
  return {};
}

}  // namespace vgpu::guestd
