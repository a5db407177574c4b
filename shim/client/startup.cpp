#include "shim/client/startup.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include <chrono>

#include <cstddef>
#include <mutex>
#include <new>
#include <vector>

#include "common/api/ops.gen.hpp"
#include "shim/client/channel.hpp"
#include "shim/client/diagnostics.hpp"
#include "shim/client/thread_state.hpp"
#include "shim/client/trace.hpp"
#include "shim/client/waiting.hpp"

namespace vgpu::shim {
namespace {

constexpr std::chrono::milliseconds kConnectTime{2000};
constexpr uint64_t kWorkerTimeNs = 60'000'000'000;

constinit std::mutex g_startup;
constinit Channel* g_connected = nullptr;  // open, but not the program's before cuInit; guarded by g_startup
constinit api::ops::DriverFactsReply g_facts;
constinit CUresult g_start_error = CUDA_SUCCESS;  // of a worker that failed: it stays failed
constinit Once g_complained;

void become_fork_child() {
  // The channel is the parent's: unmapped here (MADV_DONTFORK), and not to be used even if it were not. Only after
  // cuInit is CUDA lost to the child: one whose parent merely asked for the driver's version connects for itself.
  if (open_channel() != nullptr) abandon_channel();
  if (g_connected != nullptr && !is_fork_child()) release_arena(g_connected->arena());
  g_connected = nullptr;
  // Another thread of the parent may have held it; here is only this one.
  ::new (&g_startup) std::mutex;
}

void watch_forks() {
  static const int registered = ::pthread_atfork(nullptr, nullptr, become_fork_child);
  (void)registered;
}

/// Maps window and arena at the first pair of addresses that are both free.
bool map_memory(const transport::Transport& transport, shm::Window& window, Arena& arena) {
  const shm::Place place{transport.window_offset(), transport.window_size(), transport.window_capacity()};
  for (const auto& candidate : transport.candidates()) {
    if (!is_mappable(candidate.window_base) || !reserve_arena(candidate.arena_base, candidate.arena_size)) continue;
    auto mapped = shm::Window::map_at(transport.window_fd(), place, candidate.window_base);
    if (mapped) {
      window = std::move(*mapped);
      arena = {candidate.arena_base, candidate.arena_size};
      return true;
    }
    release_arena({candidate.arena_base, candidate.arena_size});
  }
  arena = reserve_any_arena();
  if (arena.size == 0) return false;
  auto mapped = shm::Window::map(transport.window_fd(), place);
  if (mapped) {
    window = std::move(*mapped);
    return true;
  }
  release_arena(arena);
  return false;
}

CUresult open(Channel*& channel) {
  auto transport = transport::connect(control::Deadline::after(kConnectTime));
  if (!transport) {
    if (g_complained.first()) say("no GPU: %s", transport.error().text.c_str());
    return CUDA_ERROR_NO_DEVICE;
  }
  shm::Window window;
  Arena arena;
  if (!map_memory(**transport, window, arena)) {
    if (g_complained.first())
      say("no GPU: no address range of this process is free for the shared window and for device addresses (ulimit "
          "-v?)");
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  ::madvise(reinterpret_cast<void*>(window.base()), window.capacity(), MADV_DONTFORK);
  watch_forks();
  // Never destroyed: threads and destructors of the program use it to the very end.
  channel = new Channel(std::move(*transport), std::move(window), arena);
  channel->word64(offsetof(vgpu_control, window_base)).store(channel->window().base(), std::memory_order_relaxed);
  channel->word64(offsetof(vgpu_control, arena_base)).store(arena.base, std::memory_order_relaxed);
  channel->word64(offsetof(vgpu_control, arena_size)).store(arena.size, std::memory_order_relaxed);
  if (!channel->transport().has_futex())
    channel->word(offsetof(vgpu_control, guest_flags)).store(VGPU_GUEST_POLLS, std::memory_order_relaxed);
  // release: pairs with the worker's acquire load; the addresses are valid.
  channel->word(offsetof(vgpu_control, guest_ready)).store(1, std::memory_order_release);
  channel->ring_doorbell();
  return CUDA_SUCCESS;
}

CUresult wait_for_worker(const Channel& channel) {
  const uint64_t end = monotonic_ns() + kWorkerTimeNs;
  for (Backoff backoff;;) {
    const uint32_t state = channel.word(offsetof(vgpu_control, worker_state)).load(std::memory_order_acquire);
    if (state == VGPU_WORKER_AWAKE || state == VGPU_WORKER_SLEEPING) return CUDA_SUCCESS;
    if (state == VGPU_WORKER_FAILED) {
      const uint32_t error = channel.word(offsetof(vgpu_control, start_error)).load(std::memory_order_relaxed);
      if (g_complained.first())
        say("no GPU: the worker on the host could not start (error %u); the broker's log says why", error);
      return error == 0 ? CUDA_ERROR_UNKNOWN : static_cast<CUresult>(error);
    }
    if (channel.has_lost_worker()) {
      const uint32_t error = channel.word(offsetof(vgpu_control, start_error)).load(std::memory_order_relaxed);
      if (g_complained.first())
        say("no GPU: the worker on the host ended while it started (error %u); the broker's log says why", error);
      return error == 0 ? CUDA_ERROR_NO_DEVICE : static_cast<CUresult>(error);
    }
    if (monotonic_ns() >= end) {
      if (g_complained.first()) say("no GPU: the worker on the host was not ready within 60 seconds");
      return CUDA_ERROR_SYSTEM_NOT_READY;
    }
    backoff.pause();
  }
}

CUresult ask_facts(Channel& channel) {
  Answer answer;
  uint8_t data[VGPU_SLOT_DATA];
  const CUresult sent = channel.call(kCommonSlot, static_cast<uint16_t>(api::Op::driver_facts), 0, {}, {},
                                     std::span<uint8_t>(data), answer);
  if (sent != CUDA_SUCCESS) return sent;
  if (answer.result != CUDA_SUCCESS) return answer.result;
  wire::Reader reader(wire::Bytes(data, answer.length));
  return g_facts.decode(reader) ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

/// In words that operators know, and in ours; both only if asked for.
void tell_of_start(const Channel& channel) {
  const auto client = static_cast<unsigned long long>(channel.transport().client_id());
  if (trace::is_wanted()) {
    trace::tell("[libvgpu-cuda] LOADED (pid=%d)", ::getpid());
    trace::tell("[libvgpu-cuda] cuInit() succeeded: client %llu, %u device(s)", client, g_facts.device_count);
  }
  if (debug_enabled())
    say("client %llu: window of %zu bytes at %#llx, arena of %llu bytes at %#llx, %u devices, driver %u", client,
        channel.window().size(), static_cast<unsigned long long>(channel.window().base()),
        static_cast<unsigned long long>(channel.arena().size), static_cast<unsigned long long>(channel.arena().base),
        g_facts.device_count, g_facts.driver_version);
}

/// Startup lock held. A channel that was lost before it was the program's is opened anew.
CUresult connect_once() {
  if (g_connected != nullptr && open_channel() == nullptr && g_connected->has_lost_worker()) {
    release_arena(g_connected->arena());
    // Another thread may be in a call on it: it stays, and is not taken for forgotten.
    static auto* const lost = new std::vector<Channel*>;
    lost->push_back(g_connected);
    g_connected = nullptr;
  }
  if (g_connected != nullptr) return CUDA_SUCCESS;
  if (g_start_error != CUDA_SUCCESS) return g_start_error;
  Channel* channel = nullptr;
  // Without a broker the next cuInit tries again; a worker that failed is not asked twice.
  if (const CUresult result = open(channel); result != CUDA_SUCCESS) return result;
  g_start_error = wait_for_worker(*channel);
  if (g_start_error == CUDA_SUCCESS) g_start_error = ask_facts(*channel);
  if (g_start_error != CUDA_SUCCESS) return g_start_error;
  g_connected = channel;
  tell_of_start(*channel);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult initialize() {
  if (is_fork_child()) return CUDA_ERROR_NOT_INITIALIZED;
  if (open_channel() != nullptr) return CUDA_SUCCESS;
  const std::lock_guard lock(g_startup);
  if (const CUresult result = connect_once(); result != CUDA_SUCCESS) return result;
  if (g_facts.device_count == 0) return CUDA_ERROR_NO_DEVICE;
  publish_channel(g_connected);
  return CUDA_SUCCESS;
}

CUresult initialized() { return open_channel() != nullptr ? CUDA_SUCCESS : CUDA_ERROR_NOT_INITIALIZED; }

int driver_version() {
  if (open_channel() == nullptr) {
    if (is_fork_child()) return kNewestDriverVersion;
    const std::lock_guard lock(g_startup);
    // Without a host a driver is installed all the same: this one.
    if (connect_once() != CUDA_SUCCESS) return kNewestDriverVersion;
  }
  const int version = static_cast<int>(g_facts.driver_version);
  return version < kNewestDriverVersion ? version : kNewestDriverVersion;
}

CUresult connected_channel(Channel*& channel) {
  channel = open_channel();
  if (channel != nullptr) return CUDA_SUCCESS;
  const std::lock_guard lock(g_startup);
  const CUresult result = connect_once();
  channel = g_connected;
  return result;
}

int device_count() { return open_channel() == nullptr ? 0 : static_cast<int>(g_facts.device_count); }
bool is_device(CUdevice device) { return device >= 0 && device < device_count(); }

}  // namespace vgpu::shim
