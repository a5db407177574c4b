// SPDX-License-Identifier: Apache-2.0
// Threads of a case that run side by side.
#pragma once

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/fixtures/objects.hpp"
#include "tests/conformance/harness/standing.hpp"

namespace traps {

using namespace conformance;

/// Longer than anything takes that works; shorter than the deadline of a case.
inline constexpr std::chrono::seconds kPatience{20};

/// Looks again until the condition holds; fails the case when patience ends. `what` completes "waited in vain for ...".
void wait_until(const std::function<bool()>& condition, const char* what, Where where = Where::current());
/// The same with a limit of one's own, and without a failure.
bool comes_true(const std::function<bool()>& condition, std::chrono::milliseconds patience);

/// Threads with names. What one of them throws is said on standard error at once (others may wait for it in vain then),
/// and thrown again by join().
class Crew {
 public:
  Crew() = default;
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;
  ~Crew();
  /// The body runs with this context current.
  void add(const Context& context, const char* name, std::function<void()> body);
  void add(const char* name, std::function<void()> body);
  /// Waits for all, and passes the first failure on.
  void join();
  bool has_failed() const { return failed_.load(); }

 private:
  void work(const char* name, const std::function<void()>& body);

  std::mutex lock_;
  std::vector<std::thread> threads_;
  std::exception_ptr first_;  ///< guarded by lock_
  std::atomic<bool> failed_{false};
};

}  // namespace traps
