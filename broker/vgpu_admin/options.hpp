// The command line of vgpu-admin.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace vgpu::admin {

enum class Command { status, list, kill, quarantine, release, reload, doctor, support_bundle, completion };

struct Options {
  std::optional<int> exit_code;  // set: exit with it, all is said
  Command command = Command::status;
  bool json = false;
  std::string config;  // empty: the default one
  std::string socket;  // the admin socket; empty: as the configuration says
  std::string what;    // of list
  std::uint64_t client = 0;
  std::string vm;
  std::optional<uid_t> as_uid;
  std::string output;       // of support-bundle
  std::string system_root;  // where the doctor looks for devices, libraries and kernel logs
  std::string completion;   // the text that completion prints
};

Options parse_options(int argc, char** argv);

/// Exit codes of vgpu-admin, besides those of findings.
inline constexpr int kDone = 0;
inline constexpr int kRefused = 1;       // the broker refused, or something failed
inline constexpr int kUnavailable = 69;  // the broker cannot be reached

}  // namespace vgpu::admin
