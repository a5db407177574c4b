// Where a transport is sought, and which one was found.
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "common/control/client.hpp"
#include "common/control/default_socket.hpp"
#include "shim/transport/device.hpp"
#include "shim/transport/direct.hpp"
#include "shim/transport/transport.hpp"

namespace vgpu::shim::transport {
namespace {

std::vector<std::string> socket_paths() {
  // secure_getenv: a program with raised privileges does not take its GPU from whoever started it.
  if (const char* path = ::secure_getenv("VGPU_SOCKET"); path != nullptr && *path != '\0') return {path};
  std::vector<std::string> paths = {control::kGuestSocket, control::kDefaultSocket};
  if (const char* runtime = ::secure_getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime != '\0')
    paths.push_back(std::string(runtime) + "/vgpu/mediator.sock");
  // Where vgpu-guestd is, a broker that is not there is no news; elsewhere the same of vgpu-guestd.
  const auto is_absent = [](const std::string& path) { return ::access(path.c_str(), F_OK) != 0; };
  const bool is_guest = !is_absent(control::kGuestSocket);
  std::erase_if(
      paths, [&](const std::string& path) { return is_absent(path) && (is_guest || path == control::kGuestSocket); });
  return paths;
}

/// Broker and vgpu-guestd speak the same protocol: what the reply says tells them apart.
base::Result<std::unique_ptr<Transport>> make_transport(control::Connection connection) {
  if ((connection.features & control::kFeatureDevice) != 0) return make_device(std::move(connection));
  return make_direct(std::move(connection));
}

}  // namespace

base::Result<std::unique_ptr<Transport>> connect(control::Deadline deadline) {
  const auto hello = control::make_hello(program_invocation_short_name, environ);
  if (!hello) return hello.error();
  base::Error failure{ENOENT, ""};
  for (const std::string& path : socket_paths()) {
    auto connection = control::connect_broker(path, *hello, deadline);
    if (connection) return make_transport(std::move(*connection));
    if (!failure.text.empty()) failure.text += "; ";
    failure.text += connection.error().text;
    failure.code = connection.error().code;
  }
  return failure;
}

}  // namespace vgpu::shim::transport
