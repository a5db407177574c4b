// The log of broker and worker: lines on stderr (the service manager or the parent adds what it wants) or to a file.
// spdlog stays behind this header, so that few files pay for compiling it.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace vgpu::log {

enum class Level { debug, info, warning, error };

/// Sets who speaks ("broker", "worker[1234]") and how much is said. Call once, at start. The log goes to a private copy
/// of standard error, so that a program may do with descriptor 2 what it likes afterwards. Lines that the other end
/// does not read are left out and counted: writing never blocks.
void open(std::string who, Level level);
/// Parses "debug", "info", "warning", "error"; false if `name` is none of them.
bool parse_level(std::string_view name, Level& level);
void write(Level level, std::string_view line);
bool enabled(Level level);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warning)) write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace vgpu::log
