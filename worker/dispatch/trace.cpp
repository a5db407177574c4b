#include "worker/dispatch/trace.hpp"

#include <utility>

#include "common/base/log.hpp"
#include "worker/dispatch/clock.hpp"
#include "worker/dispatch/rows.hpp"

namespace vgpu::worker {
namespace {

// What one client may write: enough to follow a program by eye, and too little to fill a disk unnoticed.
constexpr unsigned kLinesPerSecond = 1000;

}  // namespace

void Trace::start(uint64_t client) {
  client_ = client;
  is_on_ = log::enabled(log::Level::trace);
}

void Trace::took(Call& call) const { call.set_taken_at(now_ns()); }

void Trace::done(const Call& call) {
  const uint64_t now = now_ns();
  if (!may_write(now)) return;
  const char* const how = call.posted() ? "posted" : "answered";
  const double micros = static_cast<double>(now - call.taken_at()) / 1000;
  auto line = fmt::format("[vgpu-trace] {}:{} {} {} result {}, {:.1f} us in the worker", client_, call.number(),
                          call.row()->name, how, static_cast<int>(call.result()), micros);
  if (left_out_ != 0) line += fmt::format(" ({} calls before it are not shown)", std::exchange(left_out_, 0));
  log::write(log::Level::trace, line);
}

bool Trace::may_write(uint64_t now) {
  if (const uint64_t second = now / 1'000'000'000; second != second_) second_ = second, lines_ = 0;
  if (++lines_ <= kLinesPerSecond) return true;
  ++left_out_;
  return false;
}

}  // namespace vgpu::worker
