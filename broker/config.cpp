#include "broker/config.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "broker/config_values.hpp"
#include "broker/config_vms.hpp"

namespace vgpu::broker {
namespace {

struct Key {
  std::string_view section;
  std::string_view name;
  std::string (*apply)(const toml::node& node, Config& config);
};

std::string parse_checked(const toml::node& node, std::string& out, std::string (*check)(const std::string&)) {
  auto problem = parse_text(node, out);
  return problem.empty() ? check(out) : problem;
}

std::string apply_unknown_vms(const toml::node& node, Config& config) {
  std::size_t choice = 0;
  auto problem = parse_choice(node, {"refuse", "allow"}, choice);
  config.allows_unknown_vms = choice == 1;
  return problem;
}

constexpr Key kKeys[] = {
    {"broker", "socket", [](const toml::node& n, Config& c) { return parse_path(n, c.socket); }},
    {"broker", "socket_mode", [](const toml::node& n, Config& c) { return parse_mode(n, c.socket_mode); }},
    {"broker", "socket_group", [](const toml::node& n, Config& c) { return parse_text(n, c.socket_group); }},
    {"broker", "field_socket", [](const toml::node& n, Config& c) { return parse_path_or_none(n, c.field_socket); }},
    {"broker", "field_socket_mode", [](const toml::node& n, Config& c) { return parse_mode(n, c.field_socket_mode); }},
    {"broker", "chroot_directory",
     [](const toml::node& n, Config& c) { return parse_path_or_none(n, c.chroot_directory); }},
    {"broker", "unknown_vms", apply_unknown_vms},
    {"broker", "worker", [](const toml::node& n, Config& c) { return parse_path(n, c.worker); }},
    {"broker", "log_level", [](const toml::node& n, Config& c) { return parse_checked(n, c.log_level, check_level); }},
    {"broker", "log_format",
     [](const toml::node& n, Config& c) { return parse_checked(n, c.log_format, check_format); }},
    {"broker", "log_file", [](const toml::node& n, Config& c) { return parse_checked(n, c.log_file, check_log_file); }},
    {"broker", "max_clients", [](const toml::node& n, Config& c) { return parse_count(n, 1, 100000, c.max_clients); }},
    {"broker", "max_clients_per_uid",
     [](const toml::node& n, Config& c) { return parse_count(n, 1, 100000, c.max_clients_per_uid); }},
    {"broker", "kill_timeout_ms", [](const toml::node& n, Config& c) { return parse_milliseconds(n, c.kill_timeout); }},
    {"broker", "admin_socket", [](const toml::node& n, Config& c) { return parse_path(n, c.admin_socket); }},
    {"broker", "admin_group", [](const toml::node& n, Config& c) { return parse_text(n, c.admin_group); }},
    {"broker", "heartbeat_s", [](const toml::node& n, Config& c) { return parse_count(n, 1, 86'400, c.heartbeat_s); }},
    {"gpu", "driver", [](const toml::node& n, Config& c) { return parse_checked(n, c.driver, check_driver); }},
    {"client", "window_size", [](const toml::node& n, Config& c) { return parse_size(n, c.window_size); }},
    {"client", "hello_timeout_ms",
     [](const toml::node& n, Config& c) { return parse_milliseconds(n, c.hello_timeout); }},
};

const Key* find_key(std::string_view section, std::string_view name) {
  for (const auto& key : kKeys)
    if (key.section == section && key.name == name) return &key;
  return nullptr;
}

bool is_section(std::string_view name) {
  for (const auto& key : kKeys)
    if (key.section == name) return true;
  return false;
}

class Reader {
 public:
  Reader(const std::string& path, LoadedConfig& loaded, VmSections& vms) : path_(path), loaded_(loaded), vms_(vms) {}

  void read(const toml::table& file) {
    for (const auto& [name, node] : file) {
      if (name == "vm")
        vms_.read(node, loaded_);
      else if (!is_section(name.str()))
        complain(name.source().begin.line, "unknown section [" + std::string(name.str()) + "]");
      else if (!node.is_table())
        complain(name.source().begin.line, std::string(name.str()) + " must be a section");
      else
        read_section(name.str(), *node.as_table());
    }
  }

  void complain(unsigned line, const std::string& what) {
    loaded_.errors.push_back(path_ + ":" + std::to_string(line) + ": " + what);
  }

 private:
  void read_section(std::string_view section, const toml::table& keys) {
    for (const auto& [name, node] : keys) {
      const auto* key = find_key(section, name.str());
      if (key == nullptr) {
        complain(name.source().begin.line,
                 "unknown key " + std::string(name.str()) + " in [" + std::string(section) + "]");
      } else if (const auto problem = key->apply(node, loaded_.config); !problem.empty()) {
        complain(node.source().begin.line, std::string(name.str()) + " " + problem);
      }
    }
  }

  const std::string& path_;
  LoadedConfig& loaded_;
  VmSections& vms_;
};

void apply(const Overrides& overrides, LoadedConfig& loaded) {
  auto& config = loaded.config;
  config.socket = overrides.socket.value_or(config.socket);
  config.worker = overrides.worker.value_or(config.worker);
  config.driver = overrides.driver.value_or(config.driver);
  config.log_level = overrides.log_level.value_or(config.log_level);
  config.log_format = overrides.log_format.value_or(config.log_format);
  config.log_file = overrides.log_file.value_or(config.log_file);
  if (overrides.driver)
    if (const auto problem = check_driver(config.driver); !problem.empty())
      loaded.errors.push_back("--driver " + problem);
  if (overrides.log_level)
    if (const auto problem = check_level(config.log_level); !problem.empty())
      loaded.errors.push_back("--log-level " + problem);
  if (overrides.log_format)
    if (const auto problem = check_format(config.log_format); !problem.empty())
      loaded.errors.push_back("--log-format " + problem);
  if (overrides.log_file)
    if (const auto problem = check_log_file(config.log_file); !problem.empty())
      loaded.errors.push_back("--log-file " + problem);
}

}  // namespace

const char* to_text(Priority priority) {
  return priority == Priority::low ? "low" : priority == Priority::medium ? "medium" : "high";
}

log::Settings Config::logging() const {
  log::Settings settings;
  log::parse_level(log_level, settings.level);
  log::parse_format(log_format, settings.format);
  settings.file = log_file;
  return settings;
}

namespace {

/// Number of the first line that has more than ASCII; 0 if none has. toml++ 3.0 runs into undefined behaviour at such
/// characters where a key or a value is expected, "\u00e9" among them, and takes some of them for the end of a comment.
unsigned line_beyond_ascii(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  for (unsigned number = 1; std::getline(file, line); ++number)
    if (std::any_of(line.begin(), line.end(), [](unsigned char c) { return c > 0x7f; })) return number;
  return 0;
}

void read_file(const std::string& path, LoadedConfig& loaded, VmSections& vms) {
  Reader reader(path, loaded, vms);
  if (const unsigned line = line_beyond_ascii(path); line != 0)
    return reader.complain(line, "this file may only have ASCII characters");
  auto file = toml::parse_file(path);
  if (file)
    reader.read(file.table());
  else
    reader.complain(file.error().source().begin.line, std::string(file.error().description()));
}

}  // namespace

/// Those without a path of their own lie beside the broker's.
void place_sockets(Config& config) {
  if (config.admin_socket.empty()) config.admin_socket = config.socket + ".admin";
  const auto folder = config.socket.substr(0, config.socket.rfind('/') + 1);
  for (auto& vm : config.vms)
    if (vm.socket.empty()) vm.socket = folder + "vm-" + vm.name + ".sock";
}

LoadedConfig load_config(const std::string& path, bool must_exist, const Overrides& overrides) {
  LoadedConfig loaded;
  VmSections vms(path);
  struct stat status {};
  if (must_exist || stat(path.c_str(), &status) == 0) {
    read_file(path, loaded, vms);
  }
  apply(overrides, loaded);
  place_sockets(loaded.config);
  vms.compare(loaded);
  return loaded;
}

}  // namespace vgpu::broker
