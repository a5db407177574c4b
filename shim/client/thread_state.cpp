#include "shim/client/thread_state.hpp"

#include <pthread.h>

#include "shim/client/channel.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/staging/staging.hpp"

namespace vgpu::shim {
namespace {

// A plain pointer with a pthread key for its end: no thread_local destructor, which would pull in the C++ runtime's own
// list.
thread_local ThreadState* t_state = nullptr;

void end_thread(void* state) {
  // In a forked child other threads may have held any lock of ours; what is here belongs to the parent.
  if (is_fork_child()) return;
  auto* ending = static_cast<ThreadState*>(state);
  destroy_default_streams(*ending);
  t_state = nullptr;
  delete ending;
}

pthread_key_t key() {
  static const pthread_key_t made = [] {
    pthread_key_t fresh = 0;
    ::pthread_key_create(&fresh, end_thread);
    return fresh;
  }();
  return made;
}

}  // namespace

ThreadState::ThreadState() = default;

ThreadState::~ThreadState() {
  if (has_slot && !shares_slot) give_back_slot(slot);
}

ThreadState& this_thread() {
  if (t_state == nullptr) [[unlikely]] {
    t_state = new ThreadState;
    ::pthread_setspecific(key(), t_state);
  }
  return *t_state;
}

ThreadState* this_thread_if_any() { return t_state; }

uint32_t slot_of(ThreadState& thread) {
  if (!thread.has_slot) [[unlikely]] {
    thread.shares_slot = take_slot(thread.slot);
    thread.has_slot = true;
  }
  return thread.slot;
}

}  // namespace vgpu::shim
