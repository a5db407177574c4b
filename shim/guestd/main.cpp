// vgpu-guestd, once per virtual machine, as root: programs may not open the device, and it has one mailbox for all.
// A program's shim connects to our socket as it would to a broker's and says hello; we pass the hello through the
// device to the broker on the host, and hand the program its channel: the descriptors of BAR1 (window) and BAR0
// (doorbell) and the places in them. From then on the program needs us no more. We watch it, by pidfd and by its
// connection, and give the channel back when it ends. Our own end harms nobody: who comes after us reads whose
// channels are whose.
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "common/base/listen_socket.hpp"
#include "common/base/service_notify.hpp"
#include "shim/guestd/device.hpp"
#include "shim/guestd/options.hpp"
#include "shim/guestd/report.hpp"
#include "shim/guestd/server.hpp"

using namespace vgpu;

namespace {

/// SIGTERM and SIGINT become readable here.
base::UniqueFd take_signals() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  sigprocmask(SIG_BLOCK, &stop, nullptr);
  return base::UniqueFd(signalfd(-1, &stop, SFD_CLOEXEC | SFD_NONBLOCK));
}

bool is_stopped(int signals) {
  signalfd_siginfo info;
  return read(signals, &info, sizeof info) == sizeof info;
}

/// Two for every client, and who waits.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

int fail(const base::Error& error) {
  log::error("{}", error.text);
  return 1;
}

/// Where no service manager has made it: the folder of the default socket is on a file system that is empty after a
/// start.
void make_folder_of(const std::string& path) {
  const auto folder = path.substr(0, path.rfind('/'));
  if (!folder.empty()) ::mkdir(folder.c_str(), 0755);  // what is wrong with it is said by what needs it
}

int serve(const guestd::Options& options, guestd::Device& device, int stop) {
  const base::ListenSocket::Access access{options.socket_mode, options.socket_group, "vgpu-guestd"};
  make_folder_of(options.socket);
  auto clients = base::ListenSocket::create(options.socket, access);
  if (!clients) return fail(clients.error());
  auto status = base::ListenSocket::create(options.socket + guestd::kStatusSuffix, access);
  if (!status) return fail(status.error());
  const auto client_listener = clients->take_descriptor();
  const auto status_listener = status->take_descriptor();
  guestd::Server server(options.server, device, {client_listener.get(), status_listener.get()});
  server.start();
  log::info("listening on {}", options.socket);
  base::notify_service("READY=1");
  while (!is_stopped(stop)) server.turn(stop);
  log::info("stopped; channels stay with their programs");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = guestd::parse_options(argc, argv);
  if (options.exit_code) return *options.exit_code;
  log::open("vgpu-guestd", options.log_level);
  const auto stop = take_signals();
  raise_descriptor_limit();

  auto device = guestd::open_device(options.pci_root, options.device);
  if (!device) return fail(device.error());
  const auto lock = guestd::lock_device(device->function());
  if (!lock) return fail(lock.error());
  log::info("[cuda-transport] Found VGPU-STUB at {}", device->function().address);
  return serve(options, *device, stop.get());
}
