// The command line of vgpu-guest.
#pragma once

#include <optional>
#include <string>

#include "common/control/default_socket.hpp"
#include "shim/guestd/pci_functions.hpp"

namespace vgpu::guest {

enum class Command { status, self_test, doctor, add };

struct Options {
  std::optional<int> exit_code;  // set: exit with it, all is said
  Command command = Command::status;
  bool json = false;
  uint32_t left = 0;  // of add
  uint32_t right = 0;
  std::string socket = control::kGuestSocket;
  bool is_socket_given = false;
  std::string device;  // address; empty: the first
  std::string pci_root = guestd::kPciRoot;
};

Options parse_options(int argc, char** argv);

/// Exit codes of vgpu-guest.
inline constexpr int kGood = 0;
inline constexpr int kBroken = 1;
inline constexpr int kNotAllLookedAt = 2;  // what was looked at is good; the rest needs root

}  // namespace vgpu::guest
