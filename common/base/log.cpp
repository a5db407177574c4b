#include "common/base/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "common/base/log_output.hpp"

namespace vgpu::log {
namespace {

using spdlog::details::log_msg;

constexpr const char* kTime = "%Y-%m-%dT%H:%M:%S.%e%z";

/// One object a line. What is no UTF-8 in a message is replaced, so that the line stays one.
class JsonFormatter : public spdlog::formatter {
 public:
  explicit JsonFormatter(std::string who) : who_(std::move(who)) {}

  void format(const log_msg& message, spdlog::memory_buf_t& text) override {
    spdlog::memory_buf_t time;
    time_.format(message, time);
    const auto level = spdlog::level::to_string_view(message.level);
    const nlohmann::ordered_json line = {{"time", std::string_view(time.data(), time.size())},
                                         {"program", who_},
                                         {"pid", getpid()},
                                         {"level", std::string_view(level.data(), level.size())},
                                         {"message", std::string_view(message.payload.data(), message.payload.size())}};
    fmt::format_to(std::back_inserter(text), "{}\n",
                   line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
  std::unique_ptr<spdlog::formatter> clone() const override { return std::make_unique<JsonFormatter>(who_); }

 private:
  std::string who_;
  spdlog::pattern_formatter time_{kTime, spdlog::pattern_time_type::local, ""};
};

std::unique_ptr<spdlog::formatter> make_formatter(const std::string& who, Format format) {
  if (format == Format::json) return std::make_unique<JsonFormatter>(who);
  return std::make_unique<spdlog::pattern_formatter>(std::string(kTime) + " " + who + " %l: %v");
}

/// As syslog numbers them.
int priority_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return 7;
    case spdlog::level::warn:
      return 4;
    case spdlog::level::err:
      return 3;
    default:
      return 6;
  }
}

/// Writes lines to an Output, and leaves them out, counted, while nobody reads the other end: a stalled reader must not
/// stall us. (A pipe is writable while it has room for 4 KiB, which is more than a line.)
class PatientSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void direct_to(Output output, std::unique_ptr<spdlog::formatter> formatter) {
    const std::lock_guard lock(mutex_);
    output_ = std::move(output);
    formatter_ = std::move(formatter);
  }

 private:
  void sink_it_(const log_msg& message) override {
    output_.follow_name();
    if (!output_.has_room()) {
      ++lost_;
      return;
    }
    spdlog::memory_buf_t text;
    if (lost_ != 0) append(missing(lost_), text);
    append(message, text);
    lost_ = output_.write({text.data(), text.size()}) ? 0 : lost_ + 1;
  }
  void flush_() override {}

  void append(const log_msg& message, spdlog::memory_buf_t& text) {
    if (output_.is_journal()) fmt::format_to(std::back_inserter(text), "<{}>", priority_of(message.level));
    formatter_->format(message, text);
  }

  log_msg missing(std::uint64_t count) {
    missing_ = fmt::format("({} lines are missing here: nobody read them, or the disk was full)", count);
    return {spdlog::source_loc{}, "", spdlog::level::warn, missing_};
  }

  Output output_ = Output::standard_error();
  std::string missing_;
  std::uint64_t lost_ = 0;
};

// Never destroyed: threads may still log while the process ends.
struct Log {
  std::shared_ptr<PatientSink> sink = std::make_shared<PatientSink>();
  spdlog::logger logger{"vgpu", sink};
};

Log& the_log() {
  static auto* instance = new Log;
  return *instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::trace:
      return spdlog::level::trace;
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

base::Result<void> open(std::string who, const Settings& settings) {
  auto output = settings.file.empty() ? base::Result<Output>(Output::standard_error()) : Output::file(settings.file);
  if (!output) return output.error();
  the_log().sink->direct_to(std::move(*output), make_formatter(who, settings.format));
  the_log().logger.set_level(to_spdlog(settings.level));
  return {};
}

void open(std::string who, Level level) { (void)open(std::move(who), Settings{level, Format::text, {}}); }

bool parse_level(std::string_view name, Level& level) {
  if (name == "trace")
    level = Level::trace;
  else if (name == "debug")
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

bool parse_format(std::string_view name, Format& format) {
  if (name != "text" && name != "json") return false;
  format = name == "json" ? Format::json : Format::text;
  return true;
}

void write(Level level, std::string_view line) { the_log().logger.log(to_spdlog(level), line); }
bool enabled(Level level) { return the_log().logger.should_log(to_spdlog(level)); }

}  // namespace vgpu::log
