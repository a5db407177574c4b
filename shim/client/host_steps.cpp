#include "shim/client/host_steps.hpp"

#include <pthread.h>
#include <signal.h>

#include <cstddef>
#include <map>
#include <mutex>

#include "shim/client/channel.hpp"
#include "shim/client/request.hpp"
#include "shim/client/waiting.hpp"

namespace vgpu::shim {
namespace {

constinit std::mutex g_mutex;  // guards everything below
constinit uint64_t g_next = 1;
constinit bool g_agent_runs = false;
constinit thread_local bool t_in_step = false;
std::map<uint64_t, HostStep>& steps() {
  static auto* const all = new std::map<uint64_t, HostStep>;
  return *all;
}

bool take(uint64_t id, HostStep& step) {
  const std::lock_guard lock(g_mutex);
  const auto found = steps().find(id);
  if (found == steps().end()) return false;
  step = found->second;
  if (!step.repeats) steps().erase(found);
  return true;
}

void run(uint64_t id, CUresult status) {
  HostStep step;
  if (!take(id, step)) return;
  t_in_step = true;
  if (step.callback != nullptr)
    step.callback(step.stream, status, step.user);
  else if (status == CUDA_SUCCESS)
    step.function(step.user);  // not run after an error, as the driver does
  t_in_step = false;
}

/// The worker is gone: callbacks learn of it, functions are not run.
void run_all_lost(CUresult error) {
  for (;;) {
    uint64_t id = 0;
    {
      const std::lock_guard lock(g_mutex);
      if (steps().empty()) return;
      id = steps().begin()->first;
      steps().begin()->second.repeats = false;
    }
    run(id, error);
  }
}

void serve(Channel& channel) {
  const auto posted = channel.word(offsetof(vgpu_control, step_posted));
  const auto done = channel.word(offsetof(vgpu_control, step_done));
  const auto sleeping = channel.word(offsetof(vgpu_control, step_sleeping));
  for (uint32_t next = done.load(std::memory_order_relaxed);;) {
    // acquire: pairs with the worker's release store; the step's entry is complete.
    while (posted.load(std::memory_order_acquire) != next) {
      const uint64_t entry = offsetof(vgpu_control, steps) + (next % 64) * 16;
      const uint64_t id = channel.word64(entry).load(std::memory_order_relaxed);
      const uint64_t status = channel.word64(entry + 8).load(std::memory_order_relaxed);
      run(id, static_cast<CUresult>(status));
      done.store(++next, std::memory_order_release);
      channel.wake(offsetof(vgpu_control, step_done));
    }
    if (const CUresult lost = channel.health(); lost != CUDA_SUCCESS) run_all_lost(lost);
    if (spin_until([&] { return posted.load(std::memory_order_acquire) != next; })) continue;
    sleeping.store(1, std::memory_order_relaxed);
    // Store-load fence: pairs with the worker's between its store of step_posted and its load of step_sleeping.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (posted.load(std::memory_order_acquire) == next) channel.sleep_on(offsetof(vgpu_control, step_posted), next);
    sleeping.store(0, std::memory_order_relaxed);
  }
}

void* agent(void* channel) {
  ::pthread_setname_np(::pthread_self(), "vgpu-agent");
  serve(*static_cast<Channel*>(channel));
  return nullptr;
}

/// Signals are the program's business: none is delivered to the agent.
bool start_agent() {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread{};
  const bool started = ::pthread_create(&thread, nullptr, agent, open_channel()) == 0;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (started) ::pthread_detach(thread);
  return started;
}

}  // namespace

CUresult send_host_step(CUstream stream, const HostStep& step) {
  constexpr uint32_t kHostFunction = 0;
  constexpr uint32_t kStreamCallback = 1;
  Request request(api::Op::host_function, true);
  request.put(stream);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const uint64_t id = add_host_step(step);
  if (id == 0) return CUDA_ERROR_OUT_OF_MEMORY;
  request.body().put(id);
  request.body().put(step.callback != nullptr ? kStreamCallback : kHostFunction);
  const CUresult result = request.post();
  if (result != CUDA_SUCCESS) drop_host_step(id);
  return result;
}

bool in_host_step() { return t_in_step; }

void run_as_host_step(CUhostFn function, void* user) {
  t_in_step = true;
  function(user);
  t_in_step = false;
}

uint64_t add_host_step(const HostStep& step) {
  const std::lock_guard lock(g_mutex);
  if (!g_agent_runs) g_agent_runs = open_channel() != nullptr && start_agent();
  if (!g_agent_runs) return 0;
  const uint64_t id = g_next++;
  steps()[id] = step;
  return id;
}

bool find_host_step(uint64_t id, HostStep& step) {
  const std::lock_guard lock(g_mutex);
  const auto found = steps().find(id);
  if (found == steps().end()) return false;
  step = found->second;
  return true;
}

void drop_host_step(uint64_t id) {
  const std::lock_guard lock(g_mutex);
  steps().erase(id);
}

}  // namespace vgpu::shim
