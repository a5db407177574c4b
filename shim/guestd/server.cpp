#include "shim/guestd/server.hpp"

#include <sys/socket.h>

#include <array>

#include "common/base/log.hpp"
#include "common/control/exit_class.hpp"
#include "common/control/socket_io.hpp"
#include "shim/guestd/report.hpp"

namespace vgpu::guestd {
namespace {

using control::Deadline;
using control::HelloStatus;
using std::chrono::milliseconds;

// Without an event from the device its link and generation are looked at this often.
constexpr int kLookMs = 1000;
constexpr int kLookSoonMs = 20;  // while somebody waits for the link
constexpr milliseconds kReportLasts{200};

/// Whether the broker's answer, as the device shows it, is one that a client can use. The device is the host's, but a
/// host of another version is possible.
std::string check_reply(const control::HelloReply& reply, uint64_t window_size) {
  const auto& header = reply.header;
  if (header.magic != control::kMagic || header.type != control::MessageType::hello_reply ||
      header.size != sizeof reply || header.version.major != control::kVersion.major)
    return "the host's answer cannot be read: update guest or host";
  if (reply.status == HelloStatus::ok &&
      (reply.window_offset > window_size || reply.window_size > window_size - reply.window_offset))
    return "the host's channel does not lie within the device's window";
  return {};
}

}  // namespace

Server::Server(Settings settings, Device& device, Listeners listeners)
    : settings_(std::move(settings)),
      device_(&device),
      listeners_(listeners),
      arrivals_(
          listeners.clients, settings_.limits,
          [this](uid_t uid) {
            return Arrivals::Elsewhere{line_.size(), line_.count_of(uid)};
          },
          [this](Client client, const control::Hello& hello) { on_hello(std::move(client), hello); }),
      desk_(device, settings_.open_time),
      owners_(settings_.state_file, device.function().address) {}

void Server::start() {
  generation_ = device_->generation();
  owners_.take_over([this](uint32_t channel) { return is_taken(channel); });
  for (const auto& [channel, client] : owners_.all())
    log::info("channel {}: process {} ({}) goes on", channel, client.process.pid, client.name);
  desk_.take_over();
  if (desk_.is_free()) give_back_the_unowned();
  look_at_device();
}

void Server::turn(int stop) {
  PollSet polls;
  polls.add(stop, [] {});
  watch(polls);
  polls.run();
  look_at_device();
  if (auto finished = desk_.look()) on_finished(std::move(*finished));
  expire();
  serve_next();
}

void Server::watch(PollSet& polls) {
  arrivals_.watch(polls);
  desk_.watch(polls);
  owners_.watch(polls, [this](uint32_t channel) { on_end(channel); });
  if (listeners_.status >= 0) polls.add(listeners_.status, [this] { answer_status(); });
  // Whoever waits in line and ends is noticed when the line is looked through.
  const bool is_waiting = !line_.is_empty() || !to_close_.empty();
  polls.wait_at_most(is_waiting && desk_.is_free() ? kLookSoonMs : kLookMs);
}

// ---- the device ----

void Server::look_at_device() {
  // A new window: workers and memory of all channels are gone. Their entries stay until we close them, unless the
  // device was reset, which frees all.
  if (const uint32_t generation = device_->generation(); generation != generation_) {
    generation_ = generation;
    const size_t forgotten = owners_.forget_unless([this](uint32_t channel) { return is_taken(channel); });
    if (forgotten != 0) log::warning("the device was reset: the channels of {} programs are gone", forgotten);
  }
  const uint32_t link = device_->link();
  if (link == link_) return;
  link_ = link;
  if (link == VGPU_LINK_UP)
    log::info("[cuda-transport] Connected to VGPU-STUB (vm_id={} data_path=BAR1): VM {}, window of {} MiB",
              device_->load(VGPU_LEGACY_VM_ID), device_->link_text(), device_->window_size() >> 20);
  else
    log::warning("the link to the broker is {}: {}", link_word(link), device_->link_text());
}

void Server::give_back_the_unowned() {
  for (uint32_t channel = 0; channel < VGPU_CHANNEL_MAX; ++channel) {
    const uint32_t state = device_->channel_state(channel);
    if ((state == VGPU_CHANNEL_OPEN || state == VGPU_CHANNEL_LOST) && !owners_.all().contains(channel)) {
      log::info("channel {}: its program is gone", channel);
      to_close_.insert(channel);
    }
  }
}

// ---- clients ----

void Server::on_hello(Client client, const control::Hello& hello) {
  log::debug("process {} ({}, uid {}) wants a channel", client.process.pid, client.name, client.uid);
  Waiting waiting{std::move(client), hello, Deadline::after(settings_.link_patience),
                  Deadline::after(settings_.longest_wait)};
  // Neither works between two machines: the kernel that sleeps is not the one that wakes, and pids are the host's.
  waiting.hello.features &= ~(control::kFeatureFutexWake | control::kFeatureWorkerPidfd);
  line_.add(std::move(waiting));
}

void Server::expire() {
  arrivals_.expire();
  line_.remove_if([](const Waiting& waiting) { return has_ended(waiting.client); }, [](const Waiting&) {});
  if (link_ != VGPU_LINK_UP) {
    const std::string text =
        "the device's link to the broker on the host is " + std::string(link_word(link_)) + ": " + device_->link_text();
    line_.remove_if([this](const Waiting& waiting) { return link_ == VGPU_LINK_REFUSED || waiting.patience.passed(); },
                    [&](const Waiting& waiting) { refuse(waiting.client, HelloStatus::internal, text); });
  }
  line_.remove_if([](const Waiting& waiting) { return waiting.longest.passed(); },
                  [](const Waiting& waiting) {
                    refuse(waiting.client, HelloStatus::internal,
                           "the device was busy with other programs for too long");
                  });
}

void Server::serve_next() {
  if (!desk_.is_free() || link_ != VGPU_LINK_UP) return;
  if (!to_close_.empty()) {  // first: what comes back may be what others wait for
    const uint32_t channel = *to_close_.begin();
    to_close_.erase(channel);
    return desk_.begin_close(channel);
  }
  while (auto next = line_.take_next()) {
    if (owners_.count_of(next->client.uid) < settings_.channels_of_user) return desk_.begin_open(std::move(*next));
    refuse(next->client, HelloStatus::limit, "this user has as many GPU programs as one user may have");
  }
}

void Server::on_end(uint32_t channel) {
  log::info("channel {}: its program has ended", channel);
  owners_.remove(channel);
  to_close_.insert(channel);
}

// ---- commands ----

void Server::on_finished(Finished finished) {
  if (finished.kind == Finished::Kind::unknown) return give_back_the_unowned();
  const bool is_lost = finished.status == VGPU_COMMAND_LOST;
  if (finished.kind == Finished::Kind::close) {
    if (is_lost && is_taken(finished.channel)) to_close_.insert(finished.channel);  // again when the link is back
    return;
  }
  if (is_lost) {
    if (finished.client) line_.put_back(std::move(*finished.client));
  } else if (finished.status == VGPU_COMMAND_DONE) {
    if (!finished.client)
      to_close_.insert(desk_.mailbox().channel());
    else
      on_opened(std::move(*finished.client));
  } else if (finished.client) {
    on_refused(std::move(*finished.client));
  }
}

void Server::on_opened(Waiting waiting) {
  const uint32_t channel = desk_.mailbox().channel();
  const auto reply = desk_.mailbox().reply();
  auto problem = check_reply(reply, device_->window_size());
  if (channel >= VGPU_CHANNEL_MAX) problem = "the device gave a channel that it does not have";
  if (problem.empty() && reply.status == HelloStatus::ok) return hand_out(std::move(waiting), channel, reply);
  log::error("channel {}: {}", channel, problem.empty() ? "opened and refused at once" : problem);
  refuse(waiting.client, HelloStatus::internal, problem);
  if (channel < VGPU_CHANNEL_MAX) to_close_.insert(channel);
}

void Server::on_refused(Waiting waiting) {
  const auto reply = desk_.mailbox().reply();
  std::string text = control::get_text(reply.text);
  if (const auto problem = check_reply(reply, 0); !problem.empty()) text = problem;
  if (text.empty()) text = "the host gives no reason";
  const auto status = reply.status == HelloStatus::ok ? HelloStatus::internal : reply.status;
  log::debug("process {}: refused by the host: {}", waiting.client.process.pid, text);
  refuse(waiting.client, status, text);
}

void Server::hand_out(Waiting waiting, uint32_t channel, control::HelloReply reply) {
  const Client& client = waiting.client;
  log::info("channel {}: process {} ({}, uid {}) is client {}", channel, client.process.pid, client.name, client.uid,
            reply.client_id);
  reply.features |= control::kFeatureDevice;
  reply.doorbell_offset = VGPU_CHANNEL_PAGES + uint64_t{channel} * VGPU_CHANNEL_PAGE_SIZE;
  const int connection = client.connection.get();
  owners_.add(channel, std::move(waiting.client));
  const std::array<int, 2> descriptors = {device_->bar1(), device_->bar0()};
  // If it fails the client is gone, which the next turn notices.
  (void)control::send_message(connection, reply, descriptors, Deadline::after(milliseconds(0)));
}

void Server::answer_status() {
  const base::UniqueFd connection(::accept4(listeners_.status, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!connection) return;
  if (report_.empty() || report_is_fresh_.passed()) {
    report_ = make_report(*device_, owners_.all(), arrivals_.size() + line_.size());
    report_is_fresh_ = Deadline::after(kReportLasts);
  }
  // What an impatient reader's buffer cannot take is lost to it: it sees no "end".
  (void)::send(connection.get(), report_.data(), report_.size(), MSG_NOSIGNAL);
}

}  // namespace vgpu::guestd
