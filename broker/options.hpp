// The command line of vgpu-broker.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "broker/config.hpp"

namespace vgpu::broker {

struct Options {
  std::optional<int> exit_code;  // set: exit with it, all is said (--help, --version, a wrong option)
  bool check_config = false;
  std::string config_path = kDefaultConfigPath;
  bool config_given = false;  // then the file must exist
  std::string pid_file;       // written once it listens; empty: none
  Overrides overrides;
  std::vector<std::string> command_line;  // all of it, for a relaunch

  LoadedConfig load() const { return load_config(config_path, config_given, overrides); }
};

Options parse_options(int argc, char** argv);

}  // namespace vgpu::broker
