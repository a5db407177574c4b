#include "shim/client/destructors.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>

#include "shim/client/contexts.hpp"
#include "shim/client/host_steps.hpp"
#include "shim/client/request.hpp"

namespace vgpu::shim {
namespace {

/// Between two looks at marks: nobody waits for a destructor but programs that wait for their own.
constexpr std::chrono::milliseconds kLook{2};

struct Waiting {
  LaunchMark mark;
  std::function<std::vector<Destructor>()> then;
};

/// Never destroyed: the thread is not ended.
struct Desk {
  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  bool runs = false;
  std::deque<Destructor> due;
  std::list<Waiting> waiting;
};
Desk& desk() {
  static auto* const one = new Desk;
  return *one;
}

/// Those whose mark was reached, with their destructors due. Nothing is held while the worker is asked.
void look_at_marks(std::list<Waiting>& waiting) {
  for (auto next = waiting.begin(); next != waiting.end();) {
    if (!next->mark.is_reached()) {
      ++next;
      continue;
    }
    run_destructors(next->then());
    next = waiting.erase(next);
  }
}

void* serve(void*) {
  ::pthread_setname_np(::pthread_self(), "vgpu-objects");
  std::list<Waiting> waiting;
  for (;;) {
    std::deque<Destructor> due;
    {
      std::unique_lock lock(desk().mutex);
      const auto has_work = [] { return !desk().due.empty() || !desk().waiting.empty(); };
      if (waiting.empty())
        desk().changed.wait(lock, has_work);
      else
        desk().changed.wait_for(lock, kLook, has_work);
      due.swap(desk().due);
      waiting.splice(waiting.end(), desk().waiting);
    }
    for (const Destructor& one : due) run_as_host_step(one.function, one.user);
    look_at_marks(waiting);
  }
}

}  // namespace

LaunchMark::~LaunchMark() {
  if (event_ == 0) return;
  Request request(api::Op::event_destroy, false);
  request.use_context(*context_);
  request.body().put(event_);
  static_cast<void>(request.post());
  request.discard_handle(event_);
}

void LaunchMark::put_behind(CUstream stream) {
  if (event_ == 0 || context_ != current_context()) {
    LaunchMark fresh;
    Request request(api::Op::event_create, true);
    fresh.event_ = request.make_handle(wire::Kind::event);
    fresh.context_ = current_context();
    request.body().put(uint32_t{CU_EVENT_DISABLE_TIMING});
    if (request.post() != CUDA_SUCCESS) {
      request.discard_handle(std::exchange(fresh.event_, 0));
      return;
    }
    *this = std::move(fresh);
  }
  Request request(api::Op::event_record, true);
  request.body().put(event_);
  request.put(stream);
  request.body().put(uint32_t{CU_EVENT_RECORD_DEFAULT});
  static_cast<void>(request.post());
}

bool LaunchMark::is_reached() const {
  if (event_ == 0) return true;
  Request request(api::Op::event_query, false);
  request.use_context(*context_);
  request.body().put(event_);
  return request.call() != CUDA_ERROR_NOT_READY;
}

bool start_destructors() {
  const std::lock_guard lock(desk().mutex);
  if (desk().runs) return true;
  // Signals are the program's business: none is delivered to this thread.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  desk().runs = ::pthread_create(&thread, nullptr, serve, nullptr) == 0;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (desk().runs) ::pthread_detach(thread);
  return desk().runs;
}

void run_destructors(std::vector<Destructor> due) {
  if (due.empty()) return;
  const std::lock_guard lock(desk().mutex);
  desk().due.insert(desk().due.end(), due.begin(), due.end());
  desk().changed.notify_one();
}

void run_after(LaunchMark mark, std::function<std::vector<Destructor>()> then) {
  const std::lock_guard lock(desk().mutex);
  desk().waiting.push_back({std::move(mark), std::move(then)});
  desk().changed.notify_one();
}

}  // namespace vgpu::shim
