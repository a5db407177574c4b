// SPDX-License-Identifier: Apache-2.0
// A thread on the other core that does one job after another for us, so that memory was last touched there.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "tests/bench/parts/cores.hpp"
#include "tests/bench/parts/part.hpp"

namespace bench {

class OtherCore {
 public:
  OtherCore() : thread_([this] { live(); }) {}
  ~OtherCore() {
    run({});
    thread_.join();
  }
  OtherCore(const OtherCore&) = delete;
  OtherCore& operator=(const OtherCore&) = delete;

  /// Returns when the job is done.
  void run(std::function<void()> job) {
    job_ = std::move(job);
    waits_.store(true, std::memory_order_release);
    for (Looking looking; waits_.load(std::memory_order_acquire);) looking.pause();
  }

 private:
  void live() {
    pin_to(cores().worker);
    for (bool goes_on = true; goes_on;) {
      for (Looking looking; !waits_.load(std::memory_order_acquire);) looking.pause();
      goes_on = job_ != nullptr;
      if (goes_on) job_();
      waits_.store(false, std::memory_order_release);
    }
  }

  std::atomic<bool> waits_{false};
  std::function<void()> job_;
  std::thread thread_;
};

}  // namespace bench
