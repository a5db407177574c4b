#include "broker/listener/acceptor.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <system_error>

#include "common/base/log.hpp"

namespace vgpu::broker::listener {
namespace {

// Per turn of the loop, so that a flood of connections does not starve the workers' events.
constexpr int kAcceptsPerTurn = 16;
// Without descriptors the socket stays readable: looking again at once would spin.
constexpr std::chrono::milliseconds kRetryDelay{200};

bool is_shortage(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

}  // namespace

Acceptor::Acceptor(event::Loop& loop, base::UniqueFd socket, std::function<void(base::UniqueFd)> on_connection)
    : loop_(loop), on_connection_(std::move(on_connection)), retry_(loop) {
  socket_.emplace(loop_, std::move(socket), [this] { accept_some(); });
}

base::UniqueFd Acceptor::release() {
  retry_.cancel();
  if (!socket_) return std::move(paused_);
  auto socket = socket_->release();
  socket_.reset();
  return socket;
}

void Acceptor::accept_some() {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    base::UniqueFd connection(accept4(socket_->descriptor(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) {
      // Everything else is about one connection that has already gone.
      if (is_shortage(errno)) pause(errno);
      return;
    }
    on_connection_(std::move(connection));
  }
}

void Acceptor::pause(int error) {
  log::warning("cannot accept a connection: {}; trying again in {} ms (raise LimitNOFILE, or lower max_clients)",
               std::generic_category().message(error), kRetryDelay.count());
  paused_ = socket_->release();
  socket_.reset();
  retry_.start(kRetryDelay, [this] { socket_.emplace(loop_, std::move(paused_), [this] { accept_some(); }); });
}

}  // namespace vgpu::broker::listener
