// The broker's configuration: defaults, the TOML file over them, the command line over both.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/log.hpp"
#include "common/control/default_socket.hpp"

namespace vgpu::broker {

enum class Priority : std::uint8_t { low = 0, medium = 1, high = 2 };  // as the device says it
const char* to_text(Priority priority);

/// A [vm.NAME]: a virtual machine.
struct VmSettings {
  std::string name;
  // Who it is, wherever the door does not say so by itself.
  std::optional<uid_t> uid;            // its QEMU runs as this user
  std::optional<std::uint32_t> domid;  // of Xen
  std::optional<std::uint32_t> vm_id;  // the label that its device must have
  bool is_claimed = false;             // identity = "claimed": on a shared door the label alone says who it is
  // What it is given.
  std::string pool = "A";
  Priority priority = Priority::medium;
  // How its stub is served.
  std::string socket;  // empty: beside the broker's, vm-NAME.sock
  unsigned socket_mode = 0660;
  std::string socket_group;
  std::uint64_t window_size_max = std::uint64_t{64} << 30;  // bytes
  std::uint64_t channel_size = std::uint64_t{16} << 20;     // bytes that a channel begins with
  std::uint64_t channels = 64;                              // at once
  std::uint64_t legacy_rate = 1000;                         // legacy requests a second
  std::chrono::milliseconds legacy_timeout{5000};           // of each
};

struct Config {
  // [broker]
  std::string socket = control::kDefaultSocket;
  unsigned socket_mode = 0660;
  std::string socket_group;  // empty: that of the broker
  std::string field_socket;  // empty: none
  unsigned field_socket_mode = 0666;
  std::string chroot_directory;     // with root-N for the QEMU of each Xen domain; empty: none
  bool allows_unknown_vms = false;  // stubs of VMs without a [vm.NAME]
  std::string worker;               // empty: beside the broker
  std::string admin_socket;         // empty: beside the socket, with ".admin"
  std::string admin_group;          // empty: root and the broker's user only
  std::uint64_t heartbeat_s = 60;
  std::string log_level = "info";
  std::string log_format = "text";
  std::string log_file;  // empty: standard error
  std::uint64_t max_clients = 256;
  std::uint64_t max_clients_per_uid = 64;
  std::chrono::milliseconds kill_timeout{5000};
  // [gpu]
  std::string driver = "auto";  // auto, nvidia, sim, or the path of a library
  // [client]
  std::uint64_t window_size = std::uint64_t{16} << 30;  // bytes; sparse
  std::chrono::milliseconds hello_timeout{2000};
  // [vm.NAME], in the order of their names
  std::vector<VmSettings> vms;

  log::Settings logging() const;
};

/// Settings from the command line: what is set wins over the file.
struct Overrides {
  std::optional<std::string> socket, worker, driver, log_level, log_format, log_file;
};

struct LoadedConfig {
  Config config;
  std::vector<std::string> errors;  // "file:line: sentence", all of them; empty if the configuration is good
};

inline constexpr const char* kDefaultConfigPath = "/etc/vgpu/broker.toml";

/// Reads `path`. A missing file is an error only if `must_exist`.
LoadedConfig load_config(const std::string& path, bool must_exist, const Overrides& overrides);

}  // namespace vgpu::broker
