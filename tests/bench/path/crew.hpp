// SPDX-License-Identifier: Apache-2.0
// Several threads that work at the same time, for rates.
#pragma once

#include <atomic>
#include <barrier>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/path/device.hpp"

namespace bench {

/// What one thread does: its own stream, its own memory.
class Lane {
 public:
  virtual ~Lane() = default;
  /// Does a piece of work, and says how much that was.
  virtual double step() = 0;
  /// Waits until the GPU has done all of it.
  virtual void finish() = 0;
};

/// Threads that live as long as the crew, so that what the driver prepares for a thread is not measured.
class Crew {
 public:
  using MakeLane = std::function<std::unique_ptr<Lane>()>;  // called in the lane's own thread
  Crew(const Device& device, unsigned threads, MakeLane make_lane);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// All lanes work for about so long; what they did together in a second. Throws what a lane threw.
  double rate(double seconds);

 private:
  void live();
  double work(Lane& lane) const;

  const Device& device_;
  MakeLane make_lane_;
  std::barrier<> begin_;
  std::barrier<> end_;
  std::atomic<uint64_t> until_ns_{0};
  std::atomic<bool> leaving_{false};
  std::atomic<double> done_{0};
  std::atomic<bool> failed_{false};
  std::string complaint_;  // of the first lane that failed
  std::vector<std::thread> threads_;
};

}  // namespace bench
