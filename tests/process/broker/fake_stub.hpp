// A VM's stub as the broker sees it, and the guest behind it: messages by hand.
#pragma once

#include <cstring>
#include <optional>
#include <string>

#include "common/abi/stub_link.h"
#include "common/control/frame.hpp"
#include "tests/process/broker/harness.hpp"

namespace vgpu::test {

/// `[vm.one]` with a socket in the broker's folder, and more lines for it.
class VmBroker : public TestBroker {
 public:
  explicit VmBroker(const std::string& more = "") : TestBroker("[vm.one]\n" + more) {}
  std::string vm_socket() const { return folder / "vm-one.sock"; }
};

inline constexpr std::uint64_t kVmWindow = std::uint64_t{64} << 20;

class FakeStub {
 public:
  explicit FakeStub(const std::string& socket);

  /// Says hello; `window`: a descriptor that it shows, or -1.
  void say_hello(std::uint64_t window_size = kVmWindow, int window = -1, std::uint64_t open_channels = 0);
  /// The broker's answer; keeps the window that came with it.
  vgpu_link take_link();
  vgpu_link link_up() {
    say_hello();
    return take_link();
  }

  template <typename Message>
  void send(Message message, control::MessageType type, std::span<const int> fds = {}) {
    message.header = {VGPU_LINK_MAGIC,
                      static_cast<std::uint16_t>(type),
                      static_cast<std::uint16_t>(fds.size()),
                      sizeof message,
                      VGPU_LINK_MAJOR,
                      VGPU_LINK_MINOR};
    send_bytes(&message, sizeof message, fds);
  }
  void send_bytes(const void* data, std::size_t size, std::span<const int> fds = {});
  /// Fails the test if it does not come.
  control::Frame take(control::MessageType type);
  template <typename Message>
  Message take(control::MessageType type) {
    return take(type).as<Message>();
  }
  vgpu_closed take_closed() { return take<vgpu_closed>(control::MessageType::closed); }
  /// True if the broker closes the connection, whatever it sends before.
  bool is_cut_off();

  void close_channel(std::uint32_t index);

  base::UniqueFd socket;
  base::UniqueFd window;
};

/// A guest's client on a channel.
class StubClient {
 public:
  /// Opens the channel with a right hello; fails the test if it is refused.
  StubClient(FakeStub& stub, std::uint32_t index);
  ~StubClient();
  StubClient(const StubClient&) = delete;
  StubClient& operator=(const StubClient&) = delete;

  vgpu_control& control() { return *reinterpret_cast<vgpu_control*>(window_); }
  char* heap() { return window_ + VGPU_HEAP_OFFSET; }
  pid_t worker_pid() const { return static_cast<pid_t>(reply.worker_pid); }
  void order(const std::string& text);
  void order_and_wait(const std::string& text);
  /// What `grow` wrote.
  struct Growth {
    unsigned long long channel_offset = 0, window_offset = 0, size = 0;
  };
  Growth grow(std::uint64_t size);

  vgpu_opened opened{};
  control::HelloReply reply;
  base::UniqueFd doorbell, worker;

 private:
  char* window_ = nullptr;
};

/// An OPEN with a right hello.
vgpu_open open_message(std::uint32_t index);
/// The hello's reply inside of an OPENED.
control::HelloReply reply_in(const vgpu_opened& opened);

}  // namespace vgpu::test
