#include "shim/guestd/client.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "common/base/peer.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::guestd {

base::Result<Client> identify_client(base::UniqueFd connection) {
  Client client;
  auto peer = base::identify_peer(connection.get());
  if (peer) {
    client.pidfd = std::move(peer->pidfd);
    client.process = base::identify(peer->pid);
    client.uid = peer->uid;
  } else if (peer.error().code == ENOSYS) {
    ucred credentials{};
    socklen_t length = sizeof credentials;
    if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return peer.error();
    client.process = base::identify(credentials.pid);
    client.uid = credentials.uid;
  } else {
    return peer.error();
  }
  client.connection = std::move(connection);
  return client;
}

bool has_ended(const Client& client) {
  pollfd entries[] = {{client.pidfd.get(), POLLIN, 0},
                      {client.connection.get(), POLLIN, 0}};  // negative ones are ignored
  return ::poll(entries, 2, 0) > 0;
}

void refuse(const Client& client, control::HelloStatus status, const std::string& text) {
  control::send_refusal(client.connection.get(), status, text);
}

}  // namespace vgpu::guestd
