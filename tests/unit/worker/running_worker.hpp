// A worker's session in a thread of this process, over a window in memory, and the guest's end of it.
#pragma once

#include <sys/eventfd.h>
#include <sys/mman.h>

#include <chrono>
#include <future>
#include <optional>
#include <stdexcept>
#include <thread>

#include "common/api/ops.gen.hpp"
#include "common/ring/producer.hpp"
#include "fake_driver.hpp"
#include "worker/session.hpp"

inline vgpu::base::UniqueFd window_memory() {
  vgpu::base::UniqueFd memory(::memfd_create("worker-test", MFD_CLOEXEC));
  if (!memory || ::ftruncate(memory.get(), VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN) != 0)
    throw std::runtime_error("no memory for a window");
  return memory;
}

inline vgpu::shm::Window map_window(int memory) {
  static uintptr_t next = 0x7ea000000000;  // where ThreadSanitizer lets programs map
  constexpr size_t kSize = VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN;
  auto window = vgpu::shm::Window::map_at(memory, kSize, next);
  next += 2 * kSize;
  if (!window) throw std::runtime_error(window.error().text);
  return std::move(*window);
}

struct Answer {
  uint32_t result;
  uint32_t deferred;
  std::vector<uint8_t> data;
};

class RunningWorker {
 public:
  static constexpr auto kDeadline = std::chrono::seconds(20);

  RunningWorker() : ended_(end_.get_future()) {
    vgpu::worker::Doorbell doorbell{vgpu::base::UniqueFd(::dup(bell_.get())),
                                    vgpu::base::UniqueFd(::dup(client_.get()))};
    auto grant = vgpu::shm::GrantReader::map(grant_.descriptor());
    if (!grant) throw std::runtime_error(grant.error().text);
    session_ = std::make_unique<vgpu::worker::Session>(map_window(memory_.get()), fake::open(), std::move(doorbell),
                                                       std::move(*grant));
    thread_ = std::thread([this] { end_.set_value(session_->serve()); });
  }
  ~RunningWorker() {
    ::eventfd_write(client_.get(), 1);  // the client has ended
    ::eventfd_write(bell_.get(), 1);
    thread_.join();
  }
  RunningWorker(const RunningWorker&) = delete;
  RunningWorker& operator=(const RunningWorker&) = delete;

  uint64_t context = 0;  // of the records that follow

  /// The client process has ended. The doorbell is not rung.
  void end_client() { ::eventfd_write(client_.get(), 1); }
  const vgpu::shm::Window& window() const { return window_; }

  template <typename Op>
  void post(uint32_t slot, const Op& op) {
    append(slot, 0, VGPU_RECORD_POSTED, op);
  }
  /// The sequence number to wait for.
  template <typename Op>
  uint32_t send(uint32_t slot, const Op& op) {
    append(slot, ++sequence_, 0, op);
    return sequence_;
  }
  bool is_answered(uint32_t slot, uint32_t sequence) const {
    return word(slot, offsetof(vgpu_slot, sequence)).load(std::memory_order_acquire) == sequence;
  }
  Answer wait(uint32_t slot, uint32_t sequence) const {
    until([&] { return is_answered(slot, sequence); });
    Answer answer{word(slot, offsetof(vgpu_slot, result)), word(slot, offsetof(vgpu_slot, deferred)), {}};
    answer.data.resize(word(slot, offsetof(vgpu_slot, length)));
    window_.copy_out(vgpu::shm::slot_offset(slot) + offsetof(vgpu_slot, data), answer.data);
    return answer;
  }
  template <typename Op>
  Answer call(uint32_t slot, const Op& op) {
    return wait(slot, send(slot, op));
  }
  /// A record as no shim writes it.
  void append_raw(vgpu_record_header header, std::span<const uint8_t> body = {}) {
    if (!producer_.try_append(header, body)) throw std::runtime_error("the ring is full");
    if (producer_.must_ring()) ::eventfd_write(bell_.get(), 1);
  }
  /// How the session ended; throws if it goes on.
  vgpu::worker::End end() {
    if (ended_.wait_for(kDeadline) != std::future_status::ready) throw std::runtime_error("the session goes on");
    return ended_.get();
  }
  uint32_t sticky_error() const {
    return window_.word32(offsetof(vgpu_control, sticky_error)).load(std::memory_order_acquire);
  }

 private:
  template <typename Op>
  void append(uint32_t slot, uint32_t sequence, uint16_t flags, const Op& op) {
    uint8_t body[2048];
    vgpu::wire::Writer writer{std::span<uint8_t>(body)};
    op.encode(writer);
    vgpu_record_header header{};
    header.op = static_cast<uint16_t>(Op::kOp);
    header.flags = flags;
    header.slot = slot;
    header.sequence = sequence;
    header.context = context;
    append_raw(header, writer.written());
  }
  std::atomic_ref<uint32_t> word(uint32_t slot, size_t member) const {
    return window_.word32(vgpu::shm::slot_offset(slot) + member);
  }
  template <typename Reached>
  static void until(Reached reached) {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (!reached()) {
      if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("no answer in time");
      std::this_thread::yield();
    }
  }
  static vgpu::shm::GrantWriter open_grant() {
    auto grant = vgpu::shm::GrantWriter::create(1, vgpu::shm::monotonic_ms());
    if (!grant) throw std::runtime_error(grant.error().text);
    return std::move(*grant);
  }

  vgpu::base::UniqueFd memory_ = window_memory();
  vgpu::shm::Window window_ = map_window(memory_.get());
  vgpu::base::UniqueFd bell_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  vgpu::base::UniqueFd client_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  vgpu::shm::GrantWriter grant_ = open_grant();
  vgpu::ring::Producer producer_{window_};
  uint32_t sequence_ = 0;
  std::unique_ptr<vgpu::worker::Session> session_;
  std::promise<vgpu::worker::End> end_;
  std::future<vgpu::worker::End> ended_;
  std::thread thread_;
};
