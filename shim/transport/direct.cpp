// The direct transport: a Unix socket of the broker on the same kernel, a memfd and an eventfd.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "common/control/client.hpp"
#include "common/control/default_socket.hpp"
#include "shim/transport/transport.hpp"

namespace vgpu::shim::transport {
namespace {

class Direct final : public Transport {
 public:
  explicit Direct(control::Connection connection) : connection_(std::move(connection)) {}

  int window_fd() const override { return connection_.window.get(); }
  uint64_t window_size() const override { return connection_.window_size; }
  const std::vector<control::AddressCandidate>& candidates() const override { return connection_.candidates; }
  uint64_t client_id() const override { return connection_.client_id; }

  bool has_lost_worker() const override {
    pollfd worker{connection_.worker.get(), POLLIN, 0};  // a negative descriptor is ignored
    return ::poll(&worker, 1, 0) > 0;
  }

  void ring_doorbell() const override {
    const uint64_t one = 1;
    ssize_t written;
    do {
      written = ::write(connection_.doorbell.get(), &one, sizeof one);
    } while (written < 0 && errno == EINTR);
  }

 private:
  control::Connection connection_;
};

std::vector<std::string> socket_paths() {
  // secure_getenv: a program with raised privileges does not take its GPU from whoever started it.
  if (const char* path = ::secure_getenv("VGPU_SOCKET"); path != nullptr && *path != '\0') return {path};
  std::vector<std::string> paths = {control::kDefaultSocket};
  if (const char* runtime = ::secure_getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime != '\0')
    paths.push_back(std::string(runtime) + "/vgpu/mediator.sock");
  return paths;
}

}  // namespace

base::Result<std::unique_ptr<Transport>> connect(control::Deadline deadline) {
  const auto hello = control::make_hello(program_invocation_short_name, environ);
  if (!hello) return hello.error();
  base::Error failure{ENOENT, ""};
  for (const std::string& path : socket_paths()) {
    auto connection = control::connect_broker(path, *hello, deadline);
    if (connection) return std::unique_ptr<Transport>(new Direct(std::move(*connection)));
    if (!failure.text.empty()) failure.text += "; ";
    failure.text += connection.error().text;
    failure.code = connection.error().code;
  }
  return failure;
}

}  // namespace vgpu::shim::transport
