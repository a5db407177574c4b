#include "common/base/log.hpp"

#include <fcntl.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <memory>

namespace vgpu::log {
namespace {

FILE* private_standard_error() {
  const int copy = ::fcntl(2, F_DUPFD_CLOEXEC, 10);
  FILE* file = copy < 0 ? nullptr : ::fdopen(copy, "a");
  return file == nullptr ? stderr : file;
}

class FileSink : public spdlog::sinks::stdout_sink_base<spdlog::details::console_mutex> {
 public:
  explicit FileSink(FILE* file) : stdout_sink_base(file) {}
};

// Never destroyed: threads may still log while the process ends.
spdlog::logger& logger() {
  static auto* instance = new spdlog::logger("vgpu", std::make_shared<FileSink>(private_standard_error()));
  return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void open(std::string who, Level level) {
  logger().set_pattern("%Y-%m-%dT%H:%M:%S.%e%z " + who + " %l: %v");
  logger().set_level(to_spdlog(level));
  logger().flush_on(spdlog::level::debug);
}

bool parse_level(std::string_view name, Level& level) {
  if (name == "debug")
    level = Level::debug;
  else if (name == "info")
    level = Level::info;
  else if (name == "warning")
    level = Level::warning;
  else if (name == "error")
    level = Level::error;
  else
    return false;
  return true;
}

void write(Level level, std::string_view line) { logger().log(to_spdlog(level), line); }
bool enabled(Level level) { return logger().should_log(to_spdlog(level)); }

}  // namespace vgpu::log
