#include "shim/guestd/arrivals.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "common/base/log.hpp"
#include "common/control/negotiate.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::guestd {
namespace {

using control::FrameParser;
using control::HelloStatus;

constexpr int kAcceptsPerTurn = 16;
constexpr int kShortageMs = 200;

std::string version_text(control::Version theirs) {
  const auto agreed = control::negotiate({theirs, theirs.minor, 0}, control::host_offer(control::kVersion, 0));
  return agreed ? "this version's hello cannot be read" : agreed.error().text;
}

}  // namespace

void Arrivals::watch(PollSet& polls) {
  // Without descriptors the listener stays readable: looking again at once would spin.
  if (is_short_)
    polls.wait_at_most(kShortageMs);
  else
    polls.add(listener_, [this] { accept_some(); });
  is_short_ = false;
  for (auto& [number, visitor] : visitors_) {
    polls.add(visitor.client.connection.get(), [this, which = number] { read(which); });
    polls.wait_at_most(visitor.deadline.remaining_ms());
  }
}

void Arrivals::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    base::UniqueFd connection(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) {
      is_short_ = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      return;
    }
    admit(std::move(connection));
  }
}

void Arrivals::admit(base::UniqueFd connection) {
  auto client = identify_client(std::move(connection));
  if (!client) return log::debug("a connection was closed: {}", client.error().text);
  const uid_t uid = client->uid;
  const auto mine = static_cast<size_t>(std::count_if(
      visitors_.begin(), visitors_.end(), [uid](const auto& entry) { return entry.second.client.uid == uid; }));
  const Elsewhere elsewhere = elsewhere_(uid);
  if (visitors_.size() + elsewhere.all >= limits_.most || mine + elsewhere.of_user >= limits_.most_of_user)
    return refuse(*client, HelloStatus::limit, "too many programs wait for the GPU: try again later");
  visitors_.emplace(next_++, Visitor{std::move(*client), FrameParser(control::MessageType::hello),
                                     control::Deadline::after(limits_.hello_time)});
}

void Arrivals::read(uint64_t number) {
  const auto found = visitors_.find(number);
  if (found == visitors_.end()) return;
  const auto result = control::read_some(found->second.client.connection.get(), found->second.parser);
  if (result.status == control::ReadStatus::closed || result.status == control::ReadStatus::error)
    visitors_.erase(found);
  else if (result.status == control::ReadStatus::progress &&
           found->second.parser.state() != FrameParser::State::incomplete)
    judge(number);
}

void Arrivals::judge(uint64_t number) {
  auto taken = visitors_.extract(number);
  Visitor& visitor = taken.mapped();
  switch (visitor.parser.state()) {
    case FrameParser::State::complete: {
      const auto hello = visitor.parser.frame().as<control::Hello>();
      visitor.client.name = control::get_text(hello.label);
      return on_hello_(std::move(visitor.client), hello);
    }
    case FrameParser::State::foreign_version:
      return refuse(visitor.client, HelloStatus::version, version_text(visitor.parser.frame().header().version));
    default:
      return refuse(visitor.client, HelloStatus::malformed, visitor.parser.failure());
  }
}

void Arrivals::expire() {
  std::erase_if(visitors_, [](const auto& entry) {
    if (!entry.second.deadline.passed()) return false;
    refuse(entry.second.client, HelloStatus::malformed, "no complete hello came in time");
    return true;
  });
}

}  // namespace vgpu::guestd
