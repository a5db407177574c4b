// The broker's end of a link, in the test's hands: it listens at a path, and sends what a test makes it send.
#pragma once

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/abi/stub_link.h"
#include "common/base/unique_fd.hpp"

namespace vgpu::stub {

using base::UniqueFd;

/// A sealed memory file, as the broker makes it.
UniqueFd make_window(std::uint64_t size, bool sealed = true);
UniqueFd make_doorbell();

struct Received {
  std::vector<std::byte> bytes;
  std::vector<UniqueFd> fds;

  vgpu_link_header header() const { return as<vgpu_link_header>(); }
  template <typename Message>
  Message as() const {
    Message message{};
    std::memcpy(&message, bytes.data(), std::min(bytes.size(), sizeof message));
    return message;
  }
};

class FakeBroker {
 public:
  /// Listens from the start.
  FakeBroker();
  ~FakeBroker();
  FakeBroker(const FakeBroker&) = delete;
  FakeBroker& operator=(const FakeBroker&) = delete;

  std::string path() const { return folder_ / "stub"; }
  void listen();
  /// Connects until no further connection is taken in; they stay as long as the result.
  std::vector<UniqueFd> fill_queue() const;
  /// Ends as a broker that crashes does: connection and listening socket are gone.
  void die();
  /// The stub that has connected, if one has; any before is let go.
  bool accept();
  bool has_stub() const { return stub_.get() >= 0; }
  /// True if the stub has closed its end.
  bool is_stub_gone();
  void hang_up();
  int fd() const { return stub_.get(); }

  /// The next message, or nothing.
  std::optional<Received> receive();
  /// Everything that is there, one after the other.
  std::vector<Received> receive_all();
  template <typename Message>
  void send(Message message, unsigned type, std::span<const int> fds = {}) {
    message.header = {VGPU_LINK_MAGIC,
                      static_cast<std::uint16_t>(type),
                      static_cast<std::uint16_t>(fds.size()),
                      sizeof message,
                      VGPU_LINK_MAJOR,
                      VGPU_LINK_MINOR};
    send_raw(std::as_bytes(std::span(&message, 1)), fds);
  }
  void send_raw(std::span<const std::byte> bytes, std::span<const int> fds = {});

 private:
  std::filesystem::path folder_;
  UniqueFd listener_;
  UniqueFd stub_;
  Received partial_;  // the message that is coming
};

}  // namespace vgpu::stub
