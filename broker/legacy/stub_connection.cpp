#include "broker/legacy/stub_connection.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "common/control/socket_io.hpp"

namespace vgpu::broker::legacy {
namespace {

// Per turn of the loop, so that a stub that floods us does not starve others.
constexpr int kReadsPerTurn = 64;
constexpr std::chrono::milliseconds kAtOnce{0};

Request make_request(const vgpu_legacy_message_header& header, std::vector<std::uint8_t>& payload) {
  return {header.vm_id, header.request_id, header.pool, header.priority, header.payload_length, std::move(payload)};
}

}  // namespace

StubConnection::StubConnection(event::Loop& loop, base::UniqueFd connection, base::Peer peer, Desk& desk,
                               std::chrono::milliseconds patience,
                               std::function<void(const std::string& why)> on_closed)
    : peer_(std::move(peer)),
      desk_(desk),
      patience_(patience),
      on_closed_(std::move(on_closed)),
      impatience_(loop),
      broken_(loop) {
  readable_.emplace(loop, std::move(connection), [this] { on_readable(); });
  impatience_.start(patience_, [this] { close("no message came in time"); });
}

StubConnection::~StubConnection() { desk_.forget(*this); }

void StubConnection::on_readable() {
  for (int i = 0; i < kReadsPerTurn && readable_; ++i) {
    const auto space = parser_.space();
    const auto count = recv(readable_->descriptor(), space.data(), space.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return watch_patience();
    if (count < 0) return close("its connection broke");
    if (count == 0) return close(parser_.is_between() ? "it closed the connection" : "it closed within a message");
    const auto state = parser_.advance(static_cast<std::size_t>(count));
    if (state == StubParser::State::failed) return close(parser_.failure());
    if (state == StubParser::State::complete) on_message();
  }
}

/// Between messages a stub may be silent for ever; within one it may not.
void StubConnection::watch_patience() {
  if (parser_.is_between()) return impatience_.cancel();
  if (!impatience_.is_running()) impatience_.start(patience_, [this] { close("a message stayed incomplete"); });
}

void StubConnection::on_message() {
  impatience_.cancel();
  const auto header = parser_.header();
  if (vm_id_.value_or(header.vm_id) != header.vm_id)
    return close("it was let in as vm_id " + std::to_string(*vm_id_) + ", and says " + std::to_string(header.vm_id));
  vm_id_ = header.vm_id;
  const auto request = make_request(header, parser_.payload());
  parser_.next();
  if (header.type == VGPU_LEGACY_MESSAGE_PING) return send(VGPU_LEGACY_MESSAGE_PONG, request, {});
  if (header.type == VGPU_LEGACY_MESSAGE_REQUEST) return desk_.take(request, *this);
  desk_.refuse_old_cuda(request, *this);
}

void StubConnection::on_answer(const Request& request, const Answer& answer) {
  if (answer.error == VGPU_LEGACY_RATE_LIMITED) return send(VGPU_LEGACY_MESSAGE_BUSY, request, {});
  if (answer.error == VGPU_LEGACY_QUARANTINED) return send(VGPU_LEGACY_MESSAGE_QUARANTINED, request, {});
  send(VGPU_LEGACY_MESSAGE_RESPONSE, request, answer.payload);
}

void StubConnection::send(std::uint32_t type, const Request& request, std::span<const std::uint8_t> payload) {
  if (!readable_ || broken_.is_running()) return;
  vgpu_legacy_message_header header{VGPU_LEGACY_STUB_MAGIC,
                                    type,
                                    request.vm_id,
                                    request.id,
                                    request.pool,
                                    request.priority,
                                    0,
                                    static_cast<std::uint32_t>(payload.size())};
  std::array<std::uint8_t, sizeof header + VGPU_LEGACY_BUFFER_SIZE> bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  std::copy(payload.begin(), payload.end(), bytes.begin() + sizeof header);
  const auto sent = control::send_bytes(readable_->descriptor(), bytes.data(), sizeof header + payload.size(), {},
                                        control::Deadline::after(kAtOnce));
  if (!sent) broken_.start(kAtOnce, [this, text = sent.error().text] { close("it takes no answers: " + text); });
}

void StubConnection::close(const std::string& why) {
  if (!readable_) return;
  const auto said = why;  // its owner may go with what is cancelled
  readable_.reset();
  impatience_.cancel();
  broken_.cancel();
  desk_.forget(*this);
  on_closed_(said);
}

}  // namespace vgpu::broker::legacy
