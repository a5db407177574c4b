#include "broker/config_vms.hpp"

#include <algorithm>
#include <limits>

#include "broker/config_values.hpp"
#include "common/abi/device_registers.h"

namespace vgpu::broker {
namespace {

// Xen: beyond are numbers with a meaning of their own; 0 is Dom0, which has no device.
constexpr std::uint64_t kMaxDomid = 0x7fef;
constexpr std::uint64_t kMaxNumber = std::numeric_limits<std::uint32_t>::max();

struct VmKey {
  std::string_view name;
  std::string (*apply)(const toml::node& node, VmSettings& vm);
};

template <typename Number>
std::string parse_number(const toml::node& node, std::uint64_t least, std::uint64_t most, std::optional<Number>& out) {
  std::uint64_t value = 0;
  auto problem = parse_count(node, least, most, value);
  if (problem.empty()) out = static_cast<Number>(value);
  return problem;
}

std::string apply_identity(const toml::node& node, VmSettings& vm) {
  std::size_t choice = 0;
  auto problem = parse_choice(node, {"proven", "claimed"}, choice);
  vm.is_claimed = choice == 1;
  return problem;
}

std::string apply_pool(const toml::node& node, VmSettings& vm) {
  if (!parse_text(node, vm.pool).empty() || !is_plain_name(vm.pool, 32))
    return "must be the name of a pool in quotes, such as \"A\"";
  return {};
}

std::string apply_priority(const toml::node& node, VmSettings& vm) {
  std::size_t choice = 0;
  auto problem = parse_choice(node, {"low", "medium", "high"}, choice);
  if (problem.empty()) vm.priority = static_cast<Priority>(choice);
  return problem;
}

constexpr VmKey kVmKeys[] = {
    // The last two numbers of 32 bits are no users.
    {"uid", [](const toml::node& n, VmSettings& v) { return parse_number(n, 0, kMaxNumber - 2, v.uid); }},
    {"domid", [](const toml::node& n, VmSettings& v) { return parse_number(n, 1, kMaxDomid, v.domid); }},
    {"vm_id", [](const toml::node& n, VmSettings& v) { return parse_number(n, 1, kMaxNumber, v.vm_id); }},
    {"identity", apply_identity},
    {"pool", apply_pool},
    {"priority", apply_priority},
    {"socket", [](const toml::node& n, VmSettings& v) { return parse_path(n, v.socket); }},
    {"socket_mode", [](const toml::node& n, VmSettings& v) { return parse_mode(n, v.socket_mode); }},
    {"socket_group", [](const toml::node& n, VmSettings& v) { return parse_text(n, v.socket_group); }},
    {"window_size_max", [](const toml::node& n, VmSettings& v) { return parse_size(n, v.window_size_max); }},
    {"channel_size", [](const toml::node& n, VmSettings& v) { return parse_size(n, v.channel_size); }},
    {"channels", [](const toml::node& n, VmSettings& v) { return parse_count(n, 1, VGPU_CHANNEL_MAX, v.channels); }},
    {"legacy_rate", [](const toml::node& n, VmSettings& v) { return parse_count(n, 1, 1'000'000, v.legacy_rate); }},
    {"legacy_timeout_ms", [](const toml::node& n, VmSettings& v) { return parse_milliseconds(n, v.legacy_timeout); }},
};

const VmKey* find_key(std::string_view name) {
  const auto* key = std::find_if(std::begin(kVmKeys), std::end(kVmKeys), [&](const auto& k) { return k.name == name; });
  return key == std::end(kVmKeys) ? nullptr : key;
}

std::string check_vm_name(std::string_view name) {
  if (!is_plain_name(name, 48)) return "the name of a VM has 1 to 48 letters, digits, \"-\", \"_\" and \".\"";
  if (name.starts_with("uid-")) return "names that begin with \"uid-\" are those of users";
  return {};
}

std::string show(const std::string& text) { return text; }
std::string show(std::uint64_t number) { return std::to_string(number); }

template <typename T>
const T* find(const std::optional<T>& value) {
  return value ? &*value : nullptr;
}

}  // namespace

void VmSections::read(const toml::node& node, LoadedConfig& loaded) {
  if (!node.is_table()) return complain(loaded, node.source().begin.line, "vm must be written as [vm.NAME]");
  for (const auto& [name, vm] : *node.as_table()) {
    const auto problem = vm.is_table() ? check_vm_name(name.str()) : "vm must be written as [vm.NAME]";
    if (problem.empty())
      read_vm(name.str(), name, *vm.as_table(), loaded);
    else
      complain(loaded, name.source().begin.line, problem);
  }
}

void VmSections::read_vm(std::string_view vm_name, const toml::key& section, const toml::table& keys,
                         LoadedConfig& loaded) {
  VmSettings vm;
  vm.name = vm_name;
  Lines lines{{"", section.source().begin.line}};
  for (const auto& [name, node] : keys) {
    const auto line = node.source().begin.line;
    lines.emplace(name.str(), line);
    const auto* key = find_key(name.str());
    if (key == nullptr)
      complain(loaded, name.source().begin.line, "unknown key " + std::string(name.str()) + " in [vm." + vm.name + "]");
    else if (const auto problem = key->apply(node, vm); !problem.empty())
      complain(loaded, line, std::string(name.str()) + " " + problem);
  }
  check(vm, lines, loaded);
  loaded.config.vms.push_back(std::move(vm));
  lines_.push_back(std::move(lines));
}

void VmSections::check(const VmSettings& vm, const Lines& lines, LoadedConfig& loaded) const {
  if (!vm.is_claimed) return;
  if (!vm.vm_id)
    complain(loaded, lines.at("identity"),
             "identity = \"claimed\" in [vm." + vm.name + "] needs the vm_id that its device claims");
  if (vm.uid || vm.domid)
    complain(loaded, lines.at("identity"),
             "[vm." + vm.name + "] is known by its " + (vm.uid ? "uid" : "domid") +
                 ": take that away, or identity = \"claimed\"");
}

template <typename Value>
void VmSections::compare(LoadedConfig& loaded, const char* key, Value value) const {
  const auto& vms = loaded.config.vms;
  for (std::size_t later = 1; later < vms.size(); ++later) {
    for (std::size_t first = 0; first < later; ++first) {
      const auto *one = value(vms[first]), *other = value(vms[later]);
      if (one == nullptr || other == nullptr || *one != *other) continue;
      const auto& lines = lines_[later];
      const auto found = lines.find(key);
      complain(loaded, (found == lines.end() ? lines.find("") : found)->second,
               "[vm." + vms[later].name + "] has the same " + key + " as [vm." + vms[first].name + "]: " + show(*one));
      break;
    }
  }
}

void VmSections::compare(LoadedConfig& loaded) const {
  compare(loaded, "uid", [](const VmSettings& vm) { return find(vm.uid); });
  compare(loaded, "domid", [](const VmSettings& vm) { return find(vm.domid); });
  compare(loaded, "vm_id", [](const VmSettings& vm) { return find(vm.vm_id); });
  compare(loaded, "socket", [](const VmSettings& vm) { return &vm.socket; });
  const auto& config = loaded.config;
  for (std::size_t i = 0; i < config.vms.size(); ++i) {
    const auto& vm = config.vms[i];
    if (vm.socket != config.socket && vm.socket != config.field_socket) continue;
    const auto found = lines_[i].find("socket");
    complain(loaded, (found == lines_[i].end() ? lines_[i].find("") : found)->second,
             "[vm." + vm.name + "] has a socket of [broker]: " + vm.socket);
  }
}

}  // namespace vgpu::broker
