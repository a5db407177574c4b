// A VM's desk for legacy requests: limits them, keeps them in order, has them computed one at a time, and sees to it
// that each is answered within its time, whatever becomes of whoever computes.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <string>

#include "broker/event/event.hpp"
#include "broker/legacy/request.hpp"
#include "broker/log_limiter.hpp"
#include "common/base/result.hpp"
#include "common/control/messages.hpp"

namespace vgpu::broker::legacy {

struct DeskSettings {
  std::string vm;
  std::chrono::milliseconds timeout{5000};  // of a request, from its arrival to its answer
  unsigned rate = 1000;                     // requests a second; those of ten seconds may come at once
  std::size_t longest_queue = 64;           // requests that wait
  std::chrono::milliseconds rest_after{60'000};
  std::chrono::milliseconds restart_delay{100};  // after a failure: not as fast as a guest can ask for it
};

/// What counts for a VM, whatever its stub says.
struct Standing {
  std::string pool;
  unsigned priority = 0;
};

/// Asked anew for every request.
struct Tenant {
  std::function<bool()> is_quarantined;
  std::function<Standing()> standing;
};

/// Who computes: the VM's legacy worker.
class Computer {
 public:
  virtual ~Computer() = default;
  /// Begins, in a process that is started if none runs. Desk::on_result() or Desk::on_end() follows.
  virtual base::Result<void> compute(const vgpu_legacy_request& request) = 0;
  virtual bool is_running() const = 0;
  /// It hangs: ended by force. Desk::on_end() follows.
  virtual void kill() = 0;
  /// It has nothing to do: let go. Desk::on_end() follows.
  virtual void rest() = 0;
};

/// Since the broker began. Read by whoever reports on VMs.
struct Counters {
  std::array<std::uint64_t, VGPU_LEGACY_QUARANTINED + 1> by_error{};  // requests that were answered so
  std::uint64_t completed() const { return by_error[VGPU_LEGACY_OK]; }
};

class Desk {
 public:
  /// What is referred to outlives the desk.
  Desk(event::Loop& loop, DeskSettings settings, Computer& computer, Tenant tenant, LogLimiter& limiter);

  void take(Request request, Asker& asker);
  /// A CUDA message of the field's old days: counted, and answered "unsupported".
  void refuse_old_cuda(const Request& request, Asker& asker);
  /// It is gone: what it asked for is not computed any more, or not answered.
  void forget(const Asker& asker);
  /// What waits is answered "mediator unavailable". Whoever computes has been ended, or will be: no event of it
  /// follows.
  void drop_all();
  /// The same, and so is whatever comes from now on.
  void close();

  void on_result(const control::LegacyResult& result);
  /// The computer's process has ended. `how`: in words.
  void on_end(const std::string& how);

  const Counters& counters() const { return counters_; }
  std::size_t waiting() const { return queue_.size(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    Request request;
    Asker* asker;  // null: forgotten
    Clock::time_point deadline;
  };

  std::uint32_t find_fault(const Request& request);
  void proceed();
  void begin(const Request& request);
  void let_go(bool has_failed);
  void on_deadline();
  void arm();
  /// Answers the first of the queue.
  void finish(std::uint32_t error, const std::string& text, const control::LegacyResult* result = nullptr);
  void refuse(const Request& request, Asker* asker, std::uint32_t error, const std::string& text);
  void write_lines(const Request& request, std::uint32_t error, const std::string& asked, const std::string& came);

  const DeskSettings settings_;
  const std::string log_key_;  // lines about requests have a share of their own
  Computer& computer_;
  Tenant tenant_;
  LogLimiter& limiter_;
  TokenBucket rate_;
  Counters counters_;
  std::deque<Entry> queue_;
  bool is_computing_ = false;  // the first of the queue
  bool is_ending_ = false;     // the computer's process: nothing is begun before its end is seen
  bool has_failed_ = false;    // it ends because of that: the next one is not started at once
  bool is_closed_ = false;
  std::uint32_t number_ = 0;  // of the last one that was begun
  event::Timer deadline_;     // of the first of the queue
  event::Timer restart_;      // runs while nobody may be started
  event::Timer rest_;         // runs while the queue is empty
};

/// "MEDIATOR_UNAVAILABLE"
const char* error_name(std::uint32_t error);

}  // namespace vgpu::broker::legacy
