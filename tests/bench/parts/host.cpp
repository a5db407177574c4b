// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/parts/host.hpp"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <thread>

#include "common/base/unique_fd.hpp"
#include "common/control/address_candidates.hpp"
#include "common/shm/segment.hpp"
#include "shim/transport/transport.hpp"
#include "tests/bench/parts/cores.hpp"
#include "tests/bench/parts/part.hpp"
#include "worker/session.hpp"

namespace bench::host {
namespace {

using namespace vgpu;

constexpr uint64_t kLongestStandNs = 5'000'000;
constexpr size_t kWindowSize = VGPU_HEAP_OFFSET + 16 * size_t{VGPU_EXTENT_ALIGN};

/// One line per writer: the program must not slow the worker down by looking.
struct Words {
  alignas(64) std::atomic<bool> held{false};
  std::atomic<uint64_t> watched{0};
  alignas(64) std::atomic<bool> standing{false};
  std::atomic<uint64_t> moment{0};
  alignas(64) std::atomic<uint64_t> launches{0};  // written by the worker only
};
constinit Words g_words;

void stand_still() {
  const uint64_t end = now_ns() + kLongestStandNs;
  g_words.standing = true;
  while (g_words.held.load(std::memory_order_relaxed) && now_ns() < end) relax();
  g_words.standing = false;
}

cuda::CUresult launch(cuda::CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                      cuda::CUstream, void**, void**) {
  if (g_words.held.load(std::memory_order_relaxed)) [[unlikely]]
    stand_still();
  const uint64_t count = g_words.launches.load(std::memory_order_relaxed) + 1;
  g_words.launches.store(count, std::memory_order_relaxed);
  if (count == g_words.watched.load(std::memory_order_relaxed)) [[unlikely]]
    g_words.moment.store(now_ns(), std::memory_order_release);
  return cuda::CUDA_SUCCESS;
}

cuda::CUresult get_limit(size_t* value, cuda::CUlimit) {
  *value = 1024;
  return cuda::CUDA_SUCCESS;
}

base::UniqueFd make_window() {
  base::UniqueFd memory(::memfd_create("vgpu-bench", MFD_CLOEXEC));
  if (memory && ::ftruncate(memory.get(), kWindowSize) != 0) memory.reset();
  return memory;
}

base::Result<std::unique_ptr<worker::Session>> open_session(int window_memory, worker::Doorbell doorbell) {
  auto driver = worker::open_driver("sim");
  if (!driver) return driver.error();
  if (driver->functions.cuInit(0) != cuda::CUDA_SUCCESS) return base::Error{0, "the software GPU does not start"};
  driver->functions.cuLaunchKernel = launch;
  driver->functions.cuCtxGetLimit = get_limit;
  auto window = shm::Window::map(window_memory, kWindowSize);
  if (!window) return window.error();
  auto grant = shm::GrantWriter::create(1, shm::monotonic_ms());
  if (!grant) return grant.error();
  auto reader = shm::GrantReader::map(grant->descriptor());
  if (!reader) return reader.error();
  return std::make_unique<worker::Session>(std::move(*window), std::move(*driver), std::move(doorbell),
                                           std::move(*reader));
}

/// The worker and what it shares with the shim.
class Worker {
 public:
  base::Result<bool> start() {
    auto session =
        open_session(window_.get(), {base::UniqueFd(::dup(bell_.get())), base::UniqueFd(::dup(client_.get()))});
    if (!session) return session.error();
    session_ = std::move(*session);
    thread_ = std::thread([this] {
      pin_to(cores().worker);
      session_->serve();
    });
    return true;
  }
  void stop() {
    if (!thread_.joinable()) return;
    ::eventfd_write(client_.get(), 1);  // the client has ended
    ::eventfd_write(bell_.get(), 1);
    thread_.join();
  }
  int window() const { return window_.get(); }
  int bell() const { return bell_.get(); }

 private:
  base::UniqueFd window_ = make_window();
  base::UniqueFd bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  base::UniqueFd client_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::unique_ptr<worker::Session> session_;
  std::thread thread_;
};

Worker& the_worker() {
  static auto* const one = new Worker;  // the shim's threads may use it to the very end
  return *one;
}

class InProcess final : public shim::transport::Transport {
 public:
  int window_fd() const override { return the_worker().window(); }
  uint64_t window_offset() const override { return 0; }
  uint64_t window_size() const override { return kWindowSize; }
  uint64_t window_capacity() const override { return kWindowSize; }
  bool has_futex() const override { return true; }
  const std::vector<control::AddressCandidate>& candidates() const override { return candidates_; }
  void ring_doorbell(uint32_t) const override { ::eventfd_write(the_worker().bell(), 1); }
  bool has_lost_worker() const override { return false; }
  uint64_t client_id() const override { return 1; }

 private:
  const std::vector<control::AddressCandidate> candidates_{control::kAddressCandidates.begin(),
                                                           control::kAddressCandidates.end()};
};

}  // namespace

std::unique_ptr<worker::Session> make_session() {
  auto session = open_session(make_window().get(), {});
  if (!session) throw std::runtime_error(session.error().text);
  return std::move(*session);
}
void stop() {
  release();
  the_worker().stop();
}
void hold() { g_words.held = true; }
bool is_standing() { return g_words.standing; }
void release() { g_words.held = false; }
uint64_t launches() { return g_words.launches.load(std::memory_order_relaxed); }
void watch_for(uint64_t count) {
  g_words.moment = 0;
  g_words.watched = count;
}
uint64_t moment() { return g_words.moment.load(std::memory_order_acquire); }

}  // namespace bench::host

namespace vgpu::shim::transport {

// In place of the one that goes to a broker: a library's object is linked only for what is missing.
base::Result<std::unique_ptr<Transport>> connect(control::Deadline) {
  const auto started = bench::host::the_worker().start();
  if (!started) return started.error();
  return std::unique_ptr<Transport>(new bench::host::InProcess);
}

}  // namespace vgpu::shim::transport
