// The log of broker and worker: lines on stderr (the service manager or the parent adds what it wants) or in a file.
// spdlog stays behind this header, so that few files pay for compiling it.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "common/base/result.hpp"

namespace vgpu::log {

enum class Level { trace, debug, info, warning, error };
enum class Format { text, json };

struct Settings {
  Level level = Level::info;
  Format format = Format::text;
  std::string file;  // empty: standard error
};

/// Sets who speaks ("broker", "worker[1234]"), how much is said, how, and where. Each line is written at once, and
/// writing never waits for a reader: lines that the other end does not read are left out and counted.
///
/// A file is appended to, is made with mode 0640, and is opened again when another one or none has its name
/// (logrotate), by each process that writes to it for itself. Standard error is used through a private copy, so that a
/// program may do with descriptor 2 what it likes; where it is the journal, lines begin with their priority.
///
/// May be called again, also to open the file anew. On failure everything is as it was.
base::Result<void> open(std::string who, const Settings& settings);
/// The same, as text on standard error.
void open(std::string who, Level level);

/// Parses "trace", "debug", "info", "warning", "error"; false if `name` is none of them.
bool parse_level(std::string_view name, Level& level);
/// Parses "text", "json"; false if `name` is none of them.
bool parse_format(std::string_view name, Format& format);
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
