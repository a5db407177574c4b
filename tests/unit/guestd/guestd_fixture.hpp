// vgpu-guestd in this process, on a fake device: turned by hand, so that nothing happens unseen.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "common/base/listen_socket.hpp"
#include "common/control/frame.hpp"
#include "fake_device.hpp"
#include "shim/guestd/server.hpp"

namespace vgpu::test {

/// A program that says hello.
class Program {
 public:
  explicit Program(const std::string& socket);

  void say_hello(const std::string& name = "program", uint64_t features = control::kFeatures);
  void say_half();
  void hang_up() { connection_.reset(); }
  /// What came so far.
  std::optional<control::HelloReply> look();
  /// True if guestd has closed the connection.
  bool is_closed();
  const control::FdList& descriptors() { return parser_.frame().fds; }

 private:
  base::UniqueFd connection_;
  control::FrameParser parser_{control::MessageType::hello_reply};
  bool is_closed_ = false;
};

class Guestd {
 public:
  explicit Guestd(FakeDevice& device, guestd::Server::Settings settings = quick());
  /// Another run on the same files.
  void restart();

  /// One turn that does not wait.
  void turn();
  /// Turns until `condition`; false after `longest`.
  bool turn_until(const std::function<bool()>& condition, std::chrono::milliseconds longest = std::chrono::seconds(5));
  /// Turns until the program has an answer.
  control::HelloReply answer_to(Program& program);
  std::string status();

  std::string socket() const { return folder_ / "guestd.sock"; }
  std::string state() { return read_text(settings_.state_file); }
  base::UniqueFd& never_ready() { return never_; }

  /// Short enough for a test, long enough for a busy machine.
  static guestd::Server::Settings quick();

 private:
  void start();

  TemporaryFolder folder_;
  FakeDevice* fake_;
  guestd::Server::Settings settings_;
  std::optional<guestd::Device> device_;
  std::optional<base::ListenSocket> clients_;
  std::optional<base::ListenSocket> statuses_;
  base::UniqueFd client_listener_;
  base::UniqueFd status_listener_;
  base::UniqueFd always_;  // readable: a turn does not wait
  base::UniqueFd never_;
  std::optional<guestd::Server> server_;
};

}  // namespace vgpu::test
