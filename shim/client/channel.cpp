#include "shim/client/channel.hpp"

#include <sys/mman.h>

#include <cstddef>
#include <vector>

#include "common/control/exit_class.hpp"
#include "shim/client/diagnostics.hpp"
#include "shim/client/trace.hpp"
#include "shim/client/waiting.hpp"

namespace vgpu::shim {
namespace {

// A broker that lives tells of a worker's end within milliseconds.
constexpr uint64_t kBrokersWordNs = 200'000'000;

// A worker's end that no broker tells of is noticed this late.
constexpr timespec kLookAgain{0, 500'000'000};

// What is read where a device's window was taken away.
constexpr uint32_t kNoMemory = 0xffffffff;

constinit std::atomic<Channel*> g_channel{nullptr};
constinit std::atomic<bool> g_fork_child{false};
constinit std::mutex g_slots_mutex;
constinit uint32_t g_next_slot = 0;        // slots below it were handed out at least once
constinit uint32_t g_shared_slot = 0;      // round robin once all are in use
std::vector<uint32_t>& returned_slots() {  // never destroyed
  static auto* const slots = new std::vector<uint32_t>;
  return *slots;
}

}  // namespace

Channel* open_channel() { return g_channel.load(std::memory_order_acquire); }
void publish_channel(Channel* channel) { g_channel.store(channel, std::memory_order_release); }
bool is_fork_child() { return g_fork_child.load(std::memory_order_relaxed); }

void abandon_channel() {
  g_fork_child.store(true, std::memory_order_relaxed);
  g_channel.store(nullptr, std::memory_order_relaxed);
}

bool take_slot(uint32_t& slot) {
  const std::lock_guard lock(g_slots_mutex);
  auto& returned = returned_slots();
  if (!returned.empty()) {
    slot = returned.back();
    returned.pop_back();
    return false;
  }
  if (g_next_slot < kCommonSlot) {
    slot = g_next_slot++;
    return false;
  }
  slot = g_shared_slot++ % kCommonSlot;
  return true;
}

void give_back_slot(uint32_t slot) {
  const std::lock_guard lock(g_slots_mutex);
  returned_slots().push_back(slot);
}

Channel::Channel(std::unique_ptr<transport::Transport> transport, shm::Window window, Arena arena)
    : transport_(std::move(transport)),
      is_device_(!transport_->has_futex()),
      is_traced_(trace::is_wanted()),
      window_(std::move(window)),
      arena_(arena),
      producer_(window_) {}

CUresult Channel::unhealthy() const {
  static constinit Once once;
  // acquire: pairs with the worker's store; whoever says "lost" says it after the worker's last word.
  uint32_t sticky = word(offsetof(vgpu_control, sticky_error)).load(std::memory_order_acquire);
  if (sticky == kNoMemory || !is_still_ours()) sticky = 0;  // then the words are another client's
  if (once.first()) {
    if (sticky != 0) {
      say("the GPU reported error %u; every later CUDA call of this process returns it", sticky);
    } else {
      const auto exit = control::from_word(word(offsetof(vgpu_control, exit_class)).load(std::memory_order_relaxed));
      const bool untold = exit.kind == control::ExitClass::none;
      say("the worker of this process is gone (%s); every later CUDA call returns error 719",
          untold ? "and no broker says why" : control::describe(exit).c_str());
    }
  }
  return sticky != 0 ? static_cast<CUresult>(sticky) : CUDA_ERROR_LAUNCH_FAILED;
}

bool Channel::has_lost_worker() const {
  auto status = word(offsetof(vgpu_control, peer_status));
  const auto told = [&] { return status.load(std::memory_order_acquire) != VGPU_PEER_ALIVE; };
  if (told()) return true;
  if (!transport_->has_lost_worker()) return false;
  // The broker knows more: why. Without one the word is ours to write, for the worker's end is certain; but not over a
  // device, whose window may be another life's by now.
  const uint64_t end = monotonic_ns() + kBrokersWordNs;
  for (Backoff backoff; !told() && monotonic_ns() < end;) backoff.pause();
  if (told()) return true;
  lost_.store(true, std::memory_order_relaxed);
  if (transport_->has_futex()) status.store(VGPU_PEER_LOST, std::memory_order_release);
  return true;
}

CUresult Channel::health_while_waiting() const {
  (void)has_lost_worker();
  return health();
}

bool Channel::sleep_on(uint64_t offset, uint32_t seen, timespec longest) const {
  if (transport_->has_futex()) return futex_wait(address(offset), seen, longest);
  // A broker that tells of the worker's end cannot wake us. An end that was known before is no reason to come back
  // early.
  const auto status = word(offsetof(vgpu_control, peer_status));
  const uint32_t before = status.load(std::memory_order_relaxed);
  return nap_until(
      [&] {
        return word(offset).load(std::memory_order_acquire) != seen || status.load(std::memory_order_relaxed) != before;
      },
      longest);
}

void Channel::wake(uint64_t offset) const {
  if (transport_->has_futex()) futex_wake(address(offset));
}

bool Channel::grow(uint64_t window_offset, uint64_t size) {
  const uintptr_t at = window_.base() + window_.size();
  if (!window_.grow(transport_->window_fd(), window_offset, size)) return false;
  ::madvise(reinterpret_cast<void*>(at), size, MADV_DONTFORK);  // as the rest: the channel is this process's
  return true;
}

CUresult Channel::append(const vgpu_record_header& header, std::span<const uint8_t> body, std::span<const uint8_t> tail,
                         uint64_t& number) {
  if (sizeof header + body.size() + tail.size() > VGPU_RECORD_MAX) return CUDA_ERROR_INVALID_VALUE;
  Backoff backoff;
  for (;;) {
    {
      const std::lock_guard lock(append_);
      if (!is_still_ours()) [[unlikely]]
        lost_.store(true, std::memory_order_relaxed);
      else if (producer_.try_append(header, body, tail)) {
        position_.store(producer_.position(), std::memory_order_relaxed);
        number = ++appended_;
        break;
      }
    }
    // A full ring: the worker reads on as soon as the GPU's queues have room. No deadline, for GPU work may be long;
    // its end is seen here.
    if (const CUresult lost = health_while_waiting(); lost != CUDA_SUCCESS) return lost;
    backoff.pause();
  }
  if (producer_.must_ring()) transport_->ring_doorbell(static_cast<uint32_t>(number));
  return CUDA_SUCCESS;
}

CUresult Channel::post(uint32_t slot, uint16_t op, uint64_t context, std::span<const uint8_t> body,
                       std::span<const uint8_t> tail) {
  vgpu_record_header header{};
  header.op = op;
  header.flags = VGPU_RECORD_POSTED;
  header.slot = slot;
  header.context = context;
  uint64_t number = 0;
  const CUresult result = append(header, body, tail, number);
  if (is_traced_ && result == CUDA_SUCCESS) [[unlikely]]
    trace::posted(transport_->client_id(), number, op);
  return result;
}

CUresult Channel::call(uint32_t index, uint16_t op, uint64_t context, std::span<const uint8_t> body,
                       std::span<const uint8_t> tail, std::span<uint8_t> data, Answer& answer) {
  Slot& slot = slots_[index];
  const std::lock_guard lock(slot.mutex);
  if (++slot.sequence == 0) slot.sequence = 1;
  vgpu_record_header header{};
  header.op = op;
  header.slot = index;
  header.sequence = slot.sequence;
  header.context = context;
  const uint64_t begun = is_traced_ ? monotonic_ns() : 0;
  uint64_t number = 0;
  if (const CUresult result = append(header, body, tail, number); result != CUDA_SUCCESS) return result;
  if (const CUresult result = wait_for_reply(index, slot.sequence); result != CUDA_SUCCESS) return result;
  read_answer(index, data, answer);
  if (is_traced_) [[unlikely]]
    trace::answered(transport_->client_id(), number, op, answer.result, monotonic_ns() - begun);
  return CUDA_SUCCESS;
}

void Channel::read_answer(uint32_t slot, std::span<uint8_t> data, Answer& answer) const {
  const uint64_t at = shm::slot_offset(slot);
  answer.result = static_cast<CUresult>(word(at + offsetof(vgpu_slot, result)).load(std::memory_order_relaxed));
  answer.deferred = static_cast<CUresult>(word(at + offsetof(vgpu_slot, deferred)).load(std::memory_order_relaxed));
  const uint32_t length = word(at + offsetof(vgpu_slot, length)).load(std::memory_order_relaxed);
  answer.length = static_cast<uint32_t>(std::min<size_t>(length, data.size()));
  window_.copy_out(at + offsetof(vgpu_slot, data), data.first(answer.length));
}

bool Channel::is_idle() const {
  return word64(offsetof(vgpu_control, completed)).load(std::memory_order_acquire) >=
         position_.load(std::memory_order_relaxed);
}

CUresult Channel::wait_for_reply(uint32_t slot, uint32_t sequence) {
  const uint64_t at = shm::slot_offset(slot);
  const auto answered = [&] {
    // acquire: pairs with the worker's release store; the answer is complete before its sequence.
    return word(at + offsetof(vgpu_slot, sequence)).load(std::memory_order_acquire) == sequence;
  };
  if (spin_until(answered)) return CUDA_SUCCESS;
  auto sleeping = word(at + offsetof(vgpu_slot, sleeping));
  for (bool waited = false;; waited = true) {
    sleeping.store(1, std::memory_order_relaxed);
    // Store-load fence: pairs with the worker's between its store of `sequence` and its load of `sleeping`.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const uint32_t seen = word(at + offsetof(vgpu_slot, sequence)).load(std::memory_order_acquire);
    if (seen != sequence) {
      // A worker with a sticky error still answers; one second later it is not going to.
      const bool silent = waited && word(offsetof(vgpu_control, sticky_error)).load(std::memory_order_relaxed) != 0;
      if ((silent || has_lost_worker()) && !answered()) {
        sleeping.store(0, std::memory_order_relaxed);
        return unhealthy();
      }
      sleep_on(at + offsetof(vgpu_slot, sequence), seen, kLookAgain);
    }
    if (answered()) {
      sleeping.store(0, std::memory_order_relaxed);
      return CUDA_SUCCESS;
    }
  }
}

CUresult Channel::wait_for_word(uint64_t offset, uint32_t value, CUresult (*check)()) {
  const auto arrived = [&] { return word(offset).load(std::memory_order_acquire) == value; };
  if (spin_until(arrived)) return CUDA_SUCCESS;
  for (;;) {
    const uint32_t seen = word(offset).load(std::memory_order_acquire);
    if (seen == value) return CUDA_SUCCESS;
    if (const CUresult lost = health_while_waiting(); lost != CUDA_SUCCESS) return lost;
    // The worker always wakes this word, and half a second later we look again in any case.
    if (!sleep_on(offset, seen, kLookAgain) && !arrived())
      if (const CUresult result = check(); result != CUDA_SUCCESS) return result;
  }
}

}  // namespace vgpu::shim
