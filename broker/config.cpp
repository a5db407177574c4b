#include "broker/config.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <limits>

#include "broker/vm/window.hpp"
#include "common/abi/device_registers.h"

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// toml++ 3.0 assumes what the file may well break ("[{"): an assertion fails in one build, the optimiser believes it in
// the other. Behind the assumptions stand checks that say what is wrong: let them.
// clang-format off
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT(expr) static_assert(true)
#define TOML_ASSERT_ASSUME(expr) static_assert(true)
#include <toml++/toml.h>
// clang-format on

namespace vgpu::broker {
namespace {

using Milliseconds = std::chrono::milliseconds;

// ---- values: each parser returns an empty string, or what is wrong with the value ----

std::string parse_text(const toml::node& node, std::string& out) {
  const auto* text = node.as_string();
  if (text == nullptr) return "must be a string";
  out = text->get();
  return {};
}

std::string parse_path(const toml::node& node, std::string& out) {
  auto problem = parse_text(node, out);
  if (problem.empty() && (out.empty() || out.front() != '/')) problem = "must be an absolute path";
  return problem;
}

std::string check_driver(const std::string& driver) {
  if (driver == "auto" || driver == "nvidia" || driver == "sim" || driver.starts_with('/')) return {};
  return "must be \"auto\", \"nvidia\", \"sim\" or the absolute path of a library";
}

std::string check_level(const std::string& name) {
  log::Level ignored;
  return log::parse_level(name, ignored) ? "" : "must be \"debug\", \"info\", \"warning\" or \"error\"";
}

std::string parse_count(const toml::node& node, std::uint64_t least, std::uint64_t most, std::uint64_t& out) {
  const auto* number = node.as_integer();
  if (number == nullptr) return "must be an integer";
  const auto value = number->get();
  if (value < static_cast<std::int64_t>(least) || value > static_cast<std::int64_t>(most))
    return "must be from " + std::to_string(least) + " to " + std::to_string(most);
  out = static_cast<std::uint64_t>(value);
  return {};
}

std::string parse_milliseconds(const toml::node& node, Milliseconds& out) {
  std::uint64_t count = 0;
  auto problem = parse_count(node, 1, 3'600'000, count);
  if (problem.empty()) out = Milliseconds(count);
  return problem;
}

std::string parse_mode(const toml::node& node, unsigned& out) {
  std::string text;
  unsigned mode = 0;
  if (!parse_text(node, text).empty()) return "must be an octal number in quotes, such as \"0660\"";
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 0777)
    return "must be an octal number from \"0000\" to \"0777\"";
  out = mode;
  return {};
}

bool scale(std::string_view unit, std::uint64_t& factor) {
  constexpr std::array<std::pair<std::string_view, unsigned>, 3> kUnits = {{{"MiB", 20}, {"GiB", 30}, {"TiB", 40}}};
  for (const auto& [name, shift] : kUnits) {
    if (unit == name) factor = std::uint64_t{1} << shift;
    if (unit == name) return true;
  }
  return false;
}

std::string parse_size(const toml::node& node, std::uint64_t& out) {
  std::string text;
  std::uint64_t number = 0, factor = 0;
  if (!parse_text(node, text).empty()) return "must be a size in quotes, such as \"16GiB\"";
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error != std::errc() || !scale(unit, factor) || number > std::numeric_limits<std::uint64_t>::max() / factor)
    return "must be a whole number of MiB, GiB or TiB, such as \"16GiB\"";
  const auto size = number * factor;
  if (size < vm::kMinWindowSize || size > vm::kMaxWindowSize || size % VGPU_EXTENT_ALIGN != 0)
    return "must be an even number of MiB from 6MiB to 512GiB";
  out = size;
  return {};
}

// ---- keys ----

struct Key {
  std::string_view section;
  std::string_view name;
  std::string (*apply)(const toml::node& node, Config& config);
};

std::string apply_driver(const toml::node& node, Config& config) {
  auto problem = parse_text(node, config.driver);
  return problem.empty() ? check_driver(config.driver) : problem;
}

std::string apply_level(const toml::node& node, Config& config) {
  auto problem = parse_text(node, config.log_level);
  return problem.empty() ? check_level(config.log_level) : problem;
}

constexpr Key kKeys[] = {
    {"broker", "socket", [](const toml::node& n, Config& c) { return parse_path(n, c.socket); }},
    {"broker", "socket_mode", [](const toml::node& n, Config& c) { return parse_mode(n, c.socket_mode); }},
    {"broker", "socket_group", [](const toml::node& n, Config& c) { return parse_text(n, c.socket_group); }},
    {"broker", "worker", [](const toml::node& n, Config& c) { return parse_path(n, c.worker); }},
    {"broker", "log_level", apply_level},
    {"broker", "max_clients", [](const toml::node& n, Config& c) { return parse_count(n, 1, 100000, c.max_clients); }},
    {"broker", "max_clients_per_uid",
     [](const toml::node& n, Config& c) { return parse_count(n, 1, 100000, c.max_clients_per_uid); }},
    {"broker", "kill_timeout_ms", [](const toml::node& n, Config& c) { return parse_milliseconds(n, c.kill_timeout); }},
    {"gpu", "driver", apply_driver},
    {"client", "window_size", [](const toml::node& n, Config& c) { return parse_size(n, c.window_size); }},
    {"client", "hello_timeout_ms",
     [](const toml::node& n, Config& c) { return parse_milliseconds(n, c.hello_timeout); }},
};

struct VmKey {
  std::string_view name;
  std::string (*apply)(const toml::node& node, VmSettings& vm);
};

constexpr VmKey kVmKeys[] = {
    {"socket", [](const toml::node& n, VmSettings& v) { return parse_path(n, v.socket); }},
    {"socket_mode", [](const toml::node& n, VmSettings& v) { return parse_mode(n, v.socket_mode); }},
    {"socket_group", [](const toml::node& n, VmSettings& v) { return parse_text(n, v.socket_group); }},
    {"window_size_max", [](const toml::node& n, VmSettings& v) { return parse_size(n, v.window_size_max); }},
    {"channel_size", [](const toml::node& n, VmSettings& v) { return parse_size(n, v.channel_size); }},
    {"channels", [](const toml::node& n, VmSettings& v) { return parse_count(n, 1, VGPU_CHANNEL_MAX, v.channels); }},
    {"legacy_rate", [](const toml::node& n, VmSettings& v) { return parse_count(n, 1, 1'000'000, v.legacy_rate); }},
    {"legacy_timeout_ms", [](const toml::node& n, VmSettings& v) { return parse_milliseconds(n, v.legacy_timeout); }},
};

std::string check_vm_name(std::string_view name) {
  const bool is_plain = !name.empty() && name.size() <= 48 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
  if (!is_plain) return "the name of a VM has 1 to 48 letters, digits, \"-\", \"_\" and \".\"";
  if (name.starts_with("uid-")) return "names that begin with \"uid-\" are those of users";
  return {};
}

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
  Reader(const std::string& path, LoadedConfig& loaded) : path_(path), loaded_(loaded) {}

  void read(const toml::table& file) {
    for (const auto& [name, node] : file) {
      if (name == "vm")
        read_vms(node);
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

  void read_vms(const toml::node& node) {
    if (!node.is_table()) return complain(node.source().begin.line, "vm must be written as [vm.NAME]");
    for (const auto& [name, vm] : *node.as_table()) {
      const auto problem = vm.is_table() ? check_vm_name(name.str()) : "vm must be written as [vm.NAME]";
      if (problem.empty())
        read_vm(name.str(), *vm.as_table());
      else
        complain(name.source().begin.line, problem);
    }
  }

  void read_vm(std::string_view vm_name, const toml::table& keys) {
    VmSettings vm;
    vm.name = vm_name;
    for (const auto& [name, node] : keys) {
      const auto* key = std::find_if(std::begin(kVmKeys), std::end(kVmKeys),
                                     [name = name.str()](const VmKey& one) { return one.name == name; });
      if (key == std::end(kVmKeys))
        complain(name.source().begin.line, "unknown key " + std::string(name.str()) + " in [vm." + vm.name + "]");
      else if (const auto problem = key->apply(node, vm); !problem.empty())
        complain(node.source().begin.line, std::string(name.str()) + " " + problem);
    }
    loaded_.config.vms.push_back(std::move(vm));
  }

  const std::string& path_;
  LoadedConfig& loaded_;
};

void apply(const Overrides& overrides, LoadedConfig& loaded) {
  auto& config = loaded.config;
  config.socket = overrides.socket.value_or(config.socket);
  config.worker = overrides.worker.value_or(config.worker);
  config.driver = overrides.driver.value_or(config.driver);
  config.log_level = overrides.log_level.value_or(config.log_level);
  if (overrides.driver)
    if (const auto problem = check_driver(config.driver); !problem.empty())
      loaded.errors.push_back("--driver " + problem);
  if (overrides.log_level)
    if (const auto problem = check_level(config.log_level); !problem.empty())
      loaded.errors.push_back("--log-level " + problem);
}

}  // namespace

log::Level Config::level() const {
  auto level = log::Level::info;
  log::parse_level(log_level, level);
  return level;
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

void read_file(const std::string& path, LoadedConfig& loaded) {
  Reader reader(path, loaded);
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
void place_vm_sockets(Config& config) {
  const auto folder = config.socket.substr(0, config.socket.rfind('/') + 1);
  for (auto& vm : config.vms)
    if (vm.socket.empty()) vm.socket = folder + "vm-" + vm.name + ".sock";
}

LoadedConfig load_config(const std::string& path, bool must_exist, const Overrides& overrides) {
  LoadedConfig loaded;
  struct stat status {};
  if (must_exist || stat(path.c_str(), &status) == 0) {
    read_file(path, loaded);
  }
  apply(overrides, loaded);
  place_vm_sockets(loaded.config);
  return loaded;
}

}  // namespace vgpu::broker
