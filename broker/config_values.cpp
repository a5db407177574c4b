#include "broker/config_values.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "broker/vm/window.hpp"
#include "common/abi/device_registers.h"
#include "common/base/log.hpp"

namespace vgpu::broker {

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

std::string parse_path_or_none(const toml::node& node, std::string& out) {
  auto problem = parse_text(node, out);
  if (problem.empty() && !out.empty() && out.front() != '/') problem = "must be an absolute path, or empty";
  return problem;
}

std::string check_driver(const std::string& driver) {
  if (driver == "auto" || driver == "nvidia" || driver == "sim" || driver.starts_with('/')) return {};
  return "must be \"auto\", \"nvidia\", \"sim\" or the absolute path of a library";
}

std::string check_level(const std::string& name) {
  log::Level ignored;
  return log::parse_level(name, ignored) ? "" : "must be \"trace\", \"debug\", \"info\", \"warning\" or \"error\"";
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

std::string parse_milliseconds(const toml::node& node, std::chrono::milliseconds& out) {
  std::uint64_t count = 0;
  auto problem = parse_count(node, 1, 3'600'000, count);
  if (problem.empty()) out = std::chrono::milliseconds(count);
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

namespace {

bool scale(std::string_view unit, std::uint64_t& factor) {
  constexpr std::array<std::pair<std::string_view, unsigned>, 3> kUnits = {{{"MiB", 20}, {"GiB", 30}, {"TiB", 40}}};
  for (const auto& [name, shift] : kUnits) {
    if (unit == name) factor = std::uint64_t{1} << shift;
    if (unit == name) return true;
  }
  return false;
}

}  // namespace

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

std::string parse_choice(const toml::node& node, std::initializer_list<const char*> choices, std::size_t& out) {
  std::string text, list;
  const bool is_text = parse_text(node, text).empty();
  std::size_t index = 0;
  for (const char* choice : choices) {
    if (is_text && text == choice) return out = index, std::string();
    list += (index == 0 ? "\"" : index + 1 == choices.size() ? " or \"" : ", \"") + std::string(choice) + "\"";
    ++index;
  }
  return "must be " + list;
}

std::string check_format(const std::string& name) {
  log::Format ignored;
  return log::parse_format(name, ignored) ? "" : "must be \"text\" or \"json\"";
}

// Empty stands for standard error.
std::string check_log_file(const std::string& path) {
  return path.empty() || path.front() == '/' ? "" : "must be an absolute path, or empty for standard error";
}

bool is_plain_name(std::string_view name, std::size_t most) {
  return !name.empty() && name.size() <= most && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

}  // namespace vgpu::broker
