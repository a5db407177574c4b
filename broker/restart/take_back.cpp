#include "broker/restart/take_back.hpp"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "broker/vm/shared_memory.hpp"
#include "common/control/worker_descriptors.hpp"

namespace vgpu::broker::restart {
namespace {

using base::Error;
using base::UniqueFd;

base::Result<UniqueFd> fetch(int worker, int descriptor) {
  UniqueFd copy(static_cast<int>(syscall(SYS_pidfd_getfd, worker, descriptor, 0)));
  if (copy) return copy;
  const int code = errno;
  std::string hint;
  if (code == EPERM)
    hint =
        "; the broker needs CAP_SYS_PTRACE, or kernel.yama.ptrace_scope below 2; a container must let pidfd_getfd pass";
  if (code == ENOSYS) hint = "; that needs Linux 5.6";
  return Error{code, "cannot fetch its descriptors: " + std::generic_category().message(code) + hint};
}

int option_of(int socket, int option) {
  int value = -1;
  socklen_t length = sizeof value;
  return getsockopt(socket, SOL_SOCKET, option, &value, &length) == 0 ? value : -1;
}

/// Both are only ever read without blocking, and what comes is parsed as hostile: being a socket is all that counts.
bool is_control_socket(int descriptor) { return option_of(descriptor, SO_TYPE) == SOCK_SEQPACKET; }

base::Result<base::Peer> identify_client(int connection, const Entry& entry) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (option_of(connection, SO_TYPE) != SOCK_STREAM ||
      getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0 ||
      credentials.pid != entry.client.pid || credentials.uid != entry.uid)
    return Error{EINVAL, "it does not hold its client's connection"};
  base::Peer peer{credentials.pid, credentials.uid, credentials.gid, {}};
  if (auto process = base::open_process(entry.client)) peer.pidfd = std::move(*process);
  return peer;
}

base::Result<base::Peer> fetch_client(int worker, const Entry& entry, UniqueFd& connection) {
  auto fetched = fetch(worker, control::kBrokersConnectionDescriptor);
  if (!fetched) return fetched.error();
  connection = std::move(*fetched);
  return identify_client(connection.get(), entry);
}

/// The process behind a VM's stub: its connection was the earlier broker's.
base::Result<base::Peer> identify_front(const Entry& entry) {
  base::Peer peer{entry.client.pid, entry.uid, 0, {}};
  if (auto process = base::open_process(entry.client)) peer.pidfd = std::move(*process);
  return peer;
}

base::Result<vm::Window> check_window(UniqueFd memory, const Entry& entry) {
  const auto size = entry.place ? entry.place->memory_size : entry.window_size;
  const bool is_other = entry.place && vm::inode_of(memory.get()) != entry.place->inode;
  if (is_other || !vm::check_shared_memory(memory.get(), size)) return Error{EINVAL, "it does not hold its window"};
  const auto offset = entry.place ? entry.place->pieces.front().offset : 0;
  return vm::Window::adopt(std::move(memory), offset, entry.window_size);
}

}  // namespace

base::Result<TakenBack> take_back(const Entry& entry) {
  auto worker = base::open_process(entry.worker);
  if (!worker) return worker.error();
  if (base::has_ended(worker->get())) {
    // A zombie is ours to reap if the earlier broker was this process (relaunched), else somebody else's.
    siginfo_t ignored{};
    (void)supervisor::take_exit(worker->get(), ignored);
    return Error{ESRCH, "it has ended"};
  }
  auto window = fetch(worker->get(), control::kWindowDescriptor);
  if (!window) return window.error();
  auto segment = fetch(worker->get(), control::kGrantDescriptor);
  if (!segment) return segment.error();
  auto control = fetch(worker->get(), control::kBrokersControlDescriptor);
  if (!control) return control.error();
  auto checked_window = check_window(std::move(*window), entry);
  if (!checked_window) return checked_window.error();
  auto grant = shm::GrantWriter::adopt(std::move(*segment), entry.id);
  if (!grant) return grant.error();
  if (!is_control_socket(control->get())) return Error{EINVAL, "it does not hold its control socket"};
  UniqueFd connection;
  auto peer = entry.place ? identify_front(entry) : fetch_client(worker->get(), entry, connection);
  if (!peer) return peer.error();
  return TakenBack{entry,
                   std::move(*peer),
                   std::move(connection),
                   std::move(*control),
                   std::move(*checked_window),
                   std::move(*grant),
                   {entry.worker.pid, std::move(*worker)}};
}

}  // namespace vgpu::broker::restart
