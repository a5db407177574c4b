#include "common/base/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>

namespace vgpu::log {
namespace {

int private_standard_error() {
  const int copy = ::fcntl(2, F_DUPFD_CLOEXEC, 10);
  return copy < 0 ? 2 : copy;
}

/// Writes lines to a descriptor, and leaves them out, counted, while nobody reads the other end: a stalled reader must
/// not stall us. (A pipe is writable while it has room for 4 KiB, which is more than a line.)
class PatientSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit PatientSink(int descriptor) : descriptor_(descriptor) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    pollfd entry{descriptor_, POLLOUT, 0};
    if (::poll(&entry, 1, 0) != 1 || (entry.revents & POLLOUT) == 0) {
      ++lost_;
      return;
    }
    spdlog::memory_buf_t text;
    if (lost_ != 0) fmt::format_to(std::back_inserter(text), "({} lines are missing here: nobody read them)\n", lost_);
    formatter_->format(message, text);
    lost_ = ::write(descriptor_, text.data(), text.size()) < 0 ? lost_ + 1 : 0;
  }
  void flush_() override {}

  int descriptor_;
  std::uint64_t lost_ = 0;
};

// Never destroyed: threads may still log while the process ends.
spdlog::logger& logger() {
  static auto* instance = new spdlog::logger("vgpu", std::make_shared<PatientSink>(private_standard_error()));
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
