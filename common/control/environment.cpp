#include "common/control/environment.hpp"

#include <algorithm>
#include <array>

namespace vgpu::control {
namespace {

using base::Error;

constexpr std::array<std::string_view, 16> kAllowed = {
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_DEVICE_MAX_CONNECTIONS",
    "CUDA_DEVICE_MAX_COPY_CONNECTIONS",
    "CUDA_MODULE_LOADING",
    "CUDA_MODULE_DATA_LOADING",
    "CUDA_CACHE_DISABLE",
    "CUDA_CACHE_MAXSIZE",
    "CUDA_FORCE_PTX_JIT",
    "CUDA_DISABLE_PTX_JIT",
    "CUDA_FORCE_JIT",
    "CUDA_DISABLE_JIT",
    "CUDA_BINARY_LOADER_THREAD_COUNT",
    "CUDA_SCALE_LAUNCH_QUEUES",
    "CUDA_GRAPHS_USE_NODE_PRIORITY",
    "CUDA_DEVICE_DEFAULT_PERSISTING_L2_CACHE_PERCENTAGE_LIMIT",
};

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// Empty if `entry` may go to the worker beside those already `taken`.
std::string check_entry(std::string_view entry, const std::vector<std::string>& taken) {
  const auto equals = entry.find('=');
  if (equals == std::string_view::npos) return "an environment entry without '='";
  const auto name = entry.substr(0, equals);
  if (!is_allowed_environment(name)) return "an environment variable that is not on the allow-list";
  if (entry.size() - equals - 1 > kMaxEnvironmentValue) return "the value of " + std::string(name) + " is too long";
  if (!is_printable(entry)) return "the value of " + std::string(name) + " has unprintable bytes";
  const auto same_name = [&](const std::string& other) { return other.starts_with(entry.substr(0, equals + 1)); };
  if (std::any_of(taken.begin(), taken.end(), same_name)) return std::string(name) + " is given twice";
  return {};
}

}  // namespace

std::span<const std::string_view> allowed_environment() { return kAllowed; }

bool is_allowed_environment(std::string_view name) {
  return std::find(kAllowed.begin(), kAllowed.end(), name) != kAllowed.end();
}

base::Result<void> pack_environment(const char* const* environment, Hello& hello) {
  std::vector<std::string> taken;
  std::size_t used = 0;
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view entry(*environment);
    if (!is_allowed_environment(entry.substr(0, entry.find('=')))) continue;
    if (auto problem = check_entry(entry, taken); !problem.empty()) return Error{0, problem};
    if (used + entry.size() + 1 > hello.environment.size())
      return Error{0, "the CUDA_* environment variables are longer than " + std::to_string(hello.environment.size()) +
                          " bytes in all: shorten or unset some"};
    std::copy(entry.begin(), entry.end(), hello.environment.begin() + static_cast<std::ptrdiff_t>(used));
    used += entry.size();
    hello.environment[used++] = '\0';
    taken.emplace_back(entry);
  }
  hello.environment_size = static_cast<std::uint32_t>(used);
  return {};
}

base::Result<std::vector<std::string>> unpack_environment(const Hello& hello) {
  if (hello.environment_size > hello.environment.size()) return Error{0, "an environment larger than its field"};
  std::string_view rest(hello.environment.data(), hello.environment_size);
  std::vector<std::string> entries;
  while (!rest.empty()) {
    const auto end = rest.find('\0');
    if (end == std::string_view::npos) return Error{0, "an environment entry without its end"};
    const auto entry = rest.substr(0, end);
    if (auto problem = check_entry(entry, entries); !problem.empty()) return Error{0, problem};
    entries.emplace_back(entry);
    rest.remove_prefix(end + 1);
  }
  return entries;
}

}  // namespace vgpu::control
