// The command line of vgpu-guestd.
#pragma once

#include <optional>
#include <string>

#include "common/base/log.hpp"
#include "common/control/default_socket.hpp"
#include "shim/guestd/pci_functions.hpp"
#include "shim/guestd/server.hpp"

namespace vgpu::guestd {

struct Options {
  std::optional<int> exit_code;  // set: exit with it, all is said (--help, --version, a wrong option)
  std::string socket = control::kGuestSocket;
  unsigned socket_mode = 0666;
  std::string socket_group;
  std::string device;  // address; empty: the first
  std::string pci_root = kPciRoot;
  log::Level log_level = log::Level::info;
  Server::Settings server;
};

Options parse_options(int argc, char** argv);

}  // namespace vgpu::guestd
