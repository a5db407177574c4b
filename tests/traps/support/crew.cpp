// SPDX-License-Identifier: Apache-2.0
#include "tests/traps/support/crew.hpp"

#include <pthread.h>
#include <time.h>

#include <cstdio>
#include <utility>

namespace traps {

bool comes_true(const std::function<bool()>& condition, std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  const timespec moment{0, 200'000};
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    nanosleep(&moment, nullptr);
  }
  return true;
}

void wait_until(const std::function<bool()>& condition, const char* what, Where where) {
  require(comes_true(condition, kPatience), std::string("waited in vain for ") + what, where);
}

Crew::~Crew() {
  for (auto& thread : threads_) thread.join();
}

void Crew::add(const char* name, std::function<void()> body) {
  threads_.emplace_back([this, name, run = std::move(body)] { work(name, run); });
}

void Crew::add(const Context& context, const char* name, std::function<void()> body) {
  add(name, [handle = context.get(), run = std::move(body)] {
    expect_ok(CU(cuCtxSetCurrent, handle));
    run();
  });
}

void Crew::work(const char* name, const std::function<void()>& body) {
  pthread_setname_np(pthread_self(), name);
  try {
    body();
  } catch (const std::exception& thrown) {
    std::fprintf(stderr, "thread %s: %s\n", name, thrown.what());
    failed_ = true;
    const std::scoped_lock hold(lock_);
    if (!first_) first_ = std::current_exception();
  }
}

void Crew::join() {
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  const std::scoped_lock hold(lock_);
  if (first_) std::rethrow_exception(std::exchange(first_, nullptr));
}

}  // namespace traps
