/* SPDX-License-Identifier: Apache-2.0 */
#include "stub/core/link_io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void vgpu_io_init(struct vgpu_link_io* io) {
  memset(io, 0, sizeof *io);
  io->fd = -1;
}

/* ---- connection ---- */

int vgpu_io_connect(struct vgpu_link_io* io, const char* path, const char** call) {
  struct sockaddr_un address;
  memset(&address, 0, sizeof address);
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, path, strlen(path)); /* its length was checked with the configuration */
  *call = "socket()";
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  *call = "connect()";
  if (connect(fd, (const struct sockaddr*)&address, sizeof address) != 0) {
    const int error = errno;
    close(fd);
    return error;
  }
  vgpu_io_close(io);
  io->fd = fd;
  return 0;
}

static void drop_frame(struct vgpu_link_io* io) {
  for (unsigned i = 0; i < io->fd_count; ++i)
    if (io->fds[i] >= 0) close(io->fds[i]);
  io->fd_count = 0;
  io->received = 0;
}

void vgpu_io_close(struct vgpu_link_io* io) {
  drop_frame(io);
  if (io->fd >= 0) close(io->fd);
  io->fd = -1;
  io->out_begin = io->out_end = 0;
  io->broken = false;
}

/* ---- sending ---- */

int vgpu_io_send_first(struct vgpu_link_io* io, const void* message, size_t size, int fd) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec piece = {(void*)message, size};
  struct msghdr packet;
  memset(&packet, 0, sizeof packet);
  packet.msg_iov = &piece;
  packet.msg_iovlen = 1;
  if (fd >= 0) {
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    packet.msg_control = &control;
    packet.msg_controllen = sizeof control;
  }
  const ssize_t sent = sendmsg(io->fd, &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent == (ssize_t)size) return 0;
  io->broken = true;
  return sent < 0 ? errno : ENOBUFS; /* a new socket has room for a hello */
}

size_t vgpu_io_room(const struct vgpu_link_io* io) { return VGPU_IO_OUT - (io->out_end - io->out_begin); }
bool vgpu_io_is_pending(const struct vgpu_link_io* io) { return io->out_end > io->out_begin; }

int vgpu_io_flush(struct vgpu_link_io* io) {
  while (vgpu_io_is_pending(io)) {
    const ssize_t sent =
        send(io->fd, io->out + io->out_begin, io->out_end - io->out_begin, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    if (sent < 0) {
      io->broken = true;
      io->out_begin = io->out_end = 0;
      return errno;
    }
    io->out_begin += (size_t)sent;
  }
  io->out_begin = io->out_end = 0;
  return 0;
}

int vgpu_io_send(struct vgpu_link_io* io, const void* message, size_t size) {
  if (io->broken) return 0; /* told already */
  if (VGPU_IO_OUT - io->out_end < size) {
    memmove(io->out, io->out + io->out_begin, io->out_end - io->out_begin);
    io->out_end -= io->out_begin;
    io->out_begin = 0;
  }
  memcpy(io->out + io->out_end, message, size);
  io->out_end += size;
  return vgpu_io_flush(io);
}

/* ---- receiving ---- */

/* Size of a message that a broker sends, 0 if it never sends this type. */
static size_t message_size(unsigned type) {
  switch (type) {
    case VGPU_LINK:
      return sizeof(struct vgpu_link);
    case VGPU_OPENED:
      return sizeof(struct vgpu_opened);
    case VGPU_CLOSED:
      return sizeof(struct vgpu_closed);
    case VGPU_LEGACY_RESP:
      return sizeof(struct vgpu_legacy_response);
    default:
      return 0;
  }
}

static bool is_fd_count_valid(unsigned type, unsigned count) {
  if (count == 0) return true;
  return (type == VGPU_LINK && count == 1) || (type == VGPU_OPENED && count == 2);
}

static enum vgpu_io_event check_header(struct vgpu_link_io* io) {
  const struct vgpu_link_header* header = &io->in.header;
  if (header->magic != VGPU_LINK_MAGIC) {
    snprintf(io->problem, sizeof io->problem, "it does not begin with \"VGPC\": is this a vgpu-broker's socket?");
    return VGPU_IO_NONSENSE;
  }
  if (header->major != VGPU_LINK_MAJOR) return VGPU_IO_FOREIGN;
  if (message_size(header->type) == 0 || header->size != message_size(header->type) ||
      !is_fd_count_valid(header->type, header->fd_count)) {
    snprintf(io->problem, sizeof io->problem, "message of type %u with %u bytes and %u descriptors", header->type,
             header->size, header->fd_count);
    return VGPU_IO_NONSENSE;
  }
  return VGPU_IO_NOTHING;
}

static enum vgpu_io_event check_whole(struct vgpu_link_io* io) {
  if (io->fd_count == io->in.header.fd_count) return VGPU_IO_MESSAGE;
  snprintf(io->problem, sizeof io->problem, "message of type %u came with %u descriptors and announces %u",
           io->in.header.type, io->fd_count, io->in.header.fd_count);
  return VGPU_IO_NONSENSE;
}

/* Takes the descriptors of one recvmsg; false if there are more than any message has. */
static bool take_control(struct vgpu_link_io* io, struct msghdr* packet) {
  bool is_ok = (packet->msg_flags & MSG_CTRUNC) == 0;
  for (struct cmsghdr* part = CMSG_FIRSTHDR(packet); part != NULL; part = CMSG_NXTHDR(packet, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      if (io->fd_count < VGPU_IO_FDS) {
        io->fds[io->fd_count++] = fd;
      } else {
        close(fd);
        is_ok = false;
      }
    }
  }
  return is_ok;
}

static ssize_t receive_piece(struct vgpu_link_io* io, size_t wanted, bool* fds_ok) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * (VGPU_IO_FDS + 2))];
  } control;
  struct iovec piece = {io->in.bytes + io->received, wanted - io->received};
  struct msghdr packet;
  memset(&packet, 0, sizeof packet);
  packet.msg_iov = &piece;
  packet.msg_iovlen = 1;
  packet.msg_control = &control;
  packet.msg_controllen = sizeof control;
  const ssize_t got = recvmsg(io->fd, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  *fds_ok = got < 0 || take_control(io, &packet);
  return got;
}

/* Never asks for a byte beyond the current message: so the descriptors that come are this message's. */
enum vgpu_io_event vgpu_io_receive(struct vgpu_link_io* io) {
  const size_t head = sizeof(struct vgpu_link_header);
  if (io->received >= head && io->received == io->in.header.size) drop_frame(io); /* the one before */
  for (;;) {
    const size_t wanted = io->received < head ? head : io->in.header.size;
    bool fds_ok = true;
    const ssize_t got = receive_piece(io, wanted, &fds_ok);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return VGPU_IO_NOTHING;
    if (!fds_ok) {
      snprintf(io->problem, sizeof io->problem, "more descriptors than any message has");
      return VGPU_IO_NONSENSE;
    }
    if (got <= 0) return VGPU_IO_CLOSED;
    io->received += (size_t)got;
    if (io->received < wanted) continue;
    const enum vgpu_io_event event = wanted == head ? check_header(io) : check_whole(io);
    if (event != VGPU_IO_NOTHING) return event;
  }
}

int vgpu_io_take_fd(struct vgpu_link_io* io, unsigned index) {
  const int fd = io->fds[index];
  io->fds[index] = -1;
  return fd;
}
