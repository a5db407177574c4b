// What /proc says of processes and of who holds a lock.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "broker/vgpu_admin/facts.hpp"

namespace vgpu::admin {

/// The whole of a small file, such as those of /proc; empty if it cannot be read.
std::string read_text(const std::string& path, std::size_t most = 1 << 20);
/// What others wrote, fit for a terminal: unprintable bytes are shown as '?'.
std::string printable(std::string text);
bool is_alive(pid_t pid);
/// "vgpu-broker"
std::string program_of(pid_t pid);
/// Who holds a lock on this file: /proc/locks. 0: nobody, or it cannot be told.
pid_t lock_holder(const std::string& path);
/// Where a process's standard error goes, for people.
std::string standard_error_of(pid_t pid);

/// The device of a command line as /proc/PID/cmdline has it, and its socket as QEMU sees it.
struct DeviceArgument {
  std::string device;
  std::string socket;
};
std::optional<DeviceArgument> find_device(const std::string& command_line);
/// All processes that have one.
std::vector<QemuFacts> find_qemus();

}  // namespace vgpu::admin
