#include "broker/admin/connection.hpp"

#include <sys/socket.h>

#include <cerrno>

#include "broker/admin/request.hpp"

namespace vgpu::broker::admin {

Connection::Connection(event::Loop& loop, base::UniqueFd socket, std::function<std::string(std::string_view)> answer,
                       std::function<void()> on_closed, Times times)
    : loop_(loop), answer_(std::move(answer)), on_closed_(std::move(on_closed)), times_(times), deadline_(loop) {
  wait_for_request(std::move(socket));
}

void Connection::wait_for_request(base::UniqueFd socket) {
  readable_.emplace(loop_, std::move(socket), [this] { read(); });
  deadline_.start(times_.request, [this] { close(); });
}

void Connection::read() {
  char buffer[kLongestRequest + 1];
  const auto count = recv(readable_->descriptor(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) return close();
  ended_ = count == 0;
  received_.append(buffer, static_cast<std::size_t>(count));
  go_on();
}

/// Answers the next line, if it is there.
void Connection::go_on() {
  const auto end = received_.find('\n');
  if (end == std::string::npos && received_.size() <= kLongestRequest) return ended_ ? close() : void();
  // One that is too long is refused by the parser; there is no telling where the next would begin.
  const bool is_too_long = end == std::string::npos || end > kLongestRequest;
  auto line = answer_(std::string_view(received_).substr(0, is_too_long ? kLongestRequest + 1 : end));
  received_.erase(0, is_too_long ? received_.size() : end + 1);
  ended_ |= is_too_long;
  send(std::move(line));
}

void Connection::send(std::string line) {
  unsent_ = std::move(line) + "\n";
  writable_.emplace(loop_, readable_->release(), [this] { write(); });
  readable_.reset();
  deadline_.start(times_.answer, [this] { close(); });
}

void Connection::write() {
  const auto count = ::send(writable_->descriptor(), unsent_.data(), unsent_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) return close();
  unsent_.erase(0, static_cast<std::size_t>(count));
  if (!unsent_.empty()) return;
  wait_for_request(writable_->release());
  writable_.reset();
  go_on();
}

void Connection::close() {
  if (!on_closed_) return;
  deadline_.cancel();
  readable_.reset();
  writable_.reset();
  std::exchange(on_closed_, nullptr)();
}

}  // namespace vgpu::broker::admin
