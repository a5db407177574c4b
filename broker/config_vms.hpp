// The [vm.NAME] of the configuration file: reads them, and compares them with one another.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/config.hpp"
#include "broker/toml.hpp"

namespace vgpu::broker {

class VmSections {
 public:
  explicit VmSections(const std::string& path) : path_(path) {}

  /// What stands under "vm": one VM for each section, errors for the rest.
  void read(const toml::node& node, LoadedConfig& loaded);
  /// No two VMs may be told apart by the same thing. After all sockets have their paths.
  void compare(LoadedConfig& loaded) const;

 private:
  /// Where things stand in the file: the section under "", its keys under their names.
  using Lines = std::map<std::string, unsigned, std::less<>>;

  void read_vm(std::string_view name, const toml::key& section, const toml::table& keys, LoadedConfig& loaded);
  void check(const VmSettings& vm, const Lines& lines, LoadedConfig& loaded) const;
  template <typename Value>
  void compare(LoadedConfig& loaded, const char* key, Value value) const;
  void complain(LoadedConfig& loaded, unsigned line, const std::string& what) const {
    loaded.errors.push_back(path_ + ":" + std::to_string(line) + ": " + what);
  }

  std::string path_;
  std::vector<Lines> lines_;  // of the VMs of the configuration, in their order
};

}  // namespace vgpu::broker
