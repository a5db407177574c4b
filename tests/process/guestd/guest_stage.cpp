// guest_stage VM-SOCKET FOLDER: vgpu-guestd on the device's core, linked to the broker at VM-SOCKET. Programs find it
// at FOLDER/guestd.sock. Ends with its standard input; a line there: "reset" resets the device, "guestd" starts guestd
// anew.
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <thread>

#include "common/base/listen_socket.hpp"
#include "common/base/log.hpp"
#include "device_front.hpp"
#include "shim/guestd/report.hpp"
#include "shim/guestd/server.hpp"

using namespace vgpu;

namespace {

base::ListenSocket listen_at(const std::string& path) {
  auto socket = base::ListenSocket::create(path, {0666, "", "vgpu-guestd"});
  if (!socket) throw std::runtime_error(socket.error().text);
  return std::move(*socket);
}

/// One life of vgpu-guestd, on a thread.
class Life {
 public:
  Life(guestd::Device& device, const std::string& folder)
      : stop_(::eventfd(0, EFD_CLOEXEC)),
        clients_(listen_at(folder + "/guestd.sock")),
        statuses_(listen_at(folder + "/guestd.sock" + guestd::kStatusSuffix)),
        client_listener_(clients_.take_descriptor()),
        status_listener_(statuses_.take_descriptor()),
        server_(settings(folder), device, {client_listener_.get(), status_listener_.get()}) {
    server_.start();
    thread_ = std::thread([this] {
      while (!is_stopped_) server_.turn(stop_.get());
    });
  }
  ~Life() {
    is_stopped_ = true;
    ::eventfd_write(stop_.get(), 1);
    thread_.join();
  }

 private:
  static guestd::Server::Settings settings(const std::string& folder) {
    guestd::Server::Settings settings;
    settings.state_file = folder + "/guestd.json";
    return settings;
  }
  base::UniqueFd stop_;
  base::ListenSocket clients_;
  base::ListenSocket statuses_;
  base::UniqueFd client_listener_;
  base::UniqueFd status_listener_;
  guestd::Server server_;
  std::atomic<bool> is_stopped_{false};
  std::thread thread_;
};

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 3) return std::fprintf(stderr, "usage: guest_stage VM-SOCKET FOLDER\n"), 64;
  log::open("vgpu-guestd", log::Level::debug);
  test::DeviceFront front(argv[1], 1u << 30);  // sparse; room for several programs at once
  auto device = front.open();
  std::optional<Life> life(std::in_place, device, argv[2]);
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "reset") front.reset();
    if (line == "guestd") {
      life.reset();
      life.emplace(device, argv[2]);
    }
    std::puts("done");
    std::fflush(stdout);
  }
  return 0;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "guest_stage: %s\n", failure.what());
  return 1;
}
