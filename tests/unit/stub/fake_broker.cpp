#include "tests/unit/stub/fake_broker.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace vgpu::stub {
namespace {

void check(bool is_ok, const char* what) {
  if (!is_ok) throw std::system_error(errno, std::generic_category(), what);
}

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

void take_fds(msghdr& packet, std::vector<UniqueFd>& fds) {
  for (auto* part = CMSG_FIRSTHDR(&packet); part != nullptr; part = CMSG_NXTHDR(&packet, part)) {
    for (std::size_t at = 0; at + CMSG_LEN(sizeof(int)) <= part->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

}  // namespace

UniqueFd make_window(std::uint64_t size, bool sealed) {
  UniqueFd window(::memfd_create("window", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  check(::ftruncate(window.get(), static_cast<off_t>(size)) == 0, "ftruncate");
  if (sealed) check(::fcntl(window.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0, "seals");
  return window;
}

UniqueFd make_doorbell() { return UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

FakeBroker::FakeBroker() {
  std::string name = std::filesystem::temp_directory_path() / "vgpu-stub-XXXXXX";
  check(::mkdtemp(name.data()) != nullptr, "mkdtemp");
  folder_ = name;
  listen();
}

FakeBroker::~FakeBroker() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void FakeBroker::listen() {
  const auto address = address_of(path());
  ::unlink(address.sun_path);
  listener_ = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  check(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind");
  check(::listen(listener_.get(), 4) == 0, "listen");
}

std::vector<UniqueFd> FakeBroker::fill_queue() const {
  const auto address = address_of(path());
  std::vector<UniqueFd> connections;
  for (int i = 0; i < 100; ++i) {
    UniqueFd one(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (::connect(one.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) break;
    connections.push_back(std::move(one));
  }
  return connections;
}

void FakeBroker::hang_up() {
  stub_.reset();
  partial_ = {};
}

void FakeBroker::die() {
  listener_.reset();
  hang_up();
}

bool FakeBroker::accept() {
  hang_up();
  stub_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  return has_stub();
}

bool FakeBroker::is_stub_gone() {
  pollfd polled{stub_.get(), POLLIN, 0};
  return ::poll(&polled, 1, 0) == 1 && (polled.revents & POLLHUP) != 0;
}

std::optional<Received> FakeBroker::receive() {
  std::array<char, CMSG_SPACE(4 * sizeof(int))> control{};
  for (;;) {
    auto& bytes = partial_.bytes;
    const auto head = sizeof(vgpu_link_header);
    const auto wanted = bytes.size() < head ? head : partial_.header().size;
    if (bytes.size() == wanted && wanted > 0) return std::exchange(partial_, {});
    std::array<std::byte, sizeof(vgpu_open)> piece_bytes;
    iovec piece{piece_bytes.data(), std::min(piece_bytes.size(), wanted - bytes.size())};
    msghdr packet{};
    packet.msg_iov = &piece;
    packet.msg_iovlen = 1;
    packet.msg_control = control.data();
    packet.msg_controllen = control.size();
    const auto count = ::recvmsg(stub_.get(), &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count <= 0) return std::nullopt;  // what has come is kept for the next call
    take_fds(packet, partial_.fds);
    bytes.insert(bytes.end(), piece_bytes.begin(), piece_bytes.begin() + count);
  }
}

std::vector<Received> FakeBroker::receive_all() {
  std::vector<Received> all;
  while (auto message = receive()) all.push_back(std::move(*message));
  return all;
}

void FakeBroker::send_raw(std::span<const std::byte> bytes, std::span<const int> fds) {
  std::vector<char> control(CMSG_SPACE(fds.size_bytes()));
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr packet{};
  packet.msg_iov = &piece;
  packet.msg_iovlen = 1;
  if (!fds.empty()) {
    packet.msg_control = control.data();
    packet.msg_controllen = control.size();
    auto* part = CMSG_FIRSTHDR(&packet);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(part), fds.data(), fds.size_bytes());
  }
  (void)::sendmsg(stub_.get(), &packet, MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace vgpu::stub
