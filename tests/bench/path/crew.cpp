// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/path/crew.hpp"

#include "tests/bench/measure/clock.hpp"

namespace bench {

Crew::Crew(const Device& device, unsigned threads, MakeLane make_lane)
    : device_(device), make_lane_(std::move(make_lane)), begin_(threads + 1), end_(threads + 1) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { live(); });
}

Crew::~Crew() {
  leaving_ = true;
  begin_.arrive_and_wait();
  for (std::thread& thread : threads_) thread.join();
}

double Crew::rate(double seconds) {
  done_ = 0;
  until_ns_ = now_ns() + seconds_to_ns(seconds);
  begin_.arrive_and_wait();
  const uint64_t begun = now_ns();
  end_.arrive_and_wait();
  const uint64_t ended = now_ns();
  if (failed_) throw Failed(complaint_);
  return done_ / (static_cast<double>(ended - begun) * 1e-9);
}

double Crew::work(Lane& lane) const {
  double amount = 0;
  do {
    amount += lane.step();
  } while (now_ns() < until_ns_);
  lane.finish();
  return amount;
}

void Crew::live() {
  std::unique_ptr<Lane> lane;
  const auto complain = [this](const Failed& failure) {
    if (!failed_.exchange(true)) complaint_ = failure.what();
  };
  try {
    device_.make_current();
    lane = make_lane_();
  } catch (const Failed& failure) {
    complain(failure);
  }
  for (;;) {
    begin_.arrive_and_wait();
    if (leaving_) return;
    try {
      if (!failed_) done_ += work(*lane);
    } catch (const Failed& failure) {
      complain(failure);
    }
    end_.arrive_and_wait();
  }
}

}  // namespace bench
