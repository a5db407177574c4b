// A context: its streams, its error, its limits and what it printed.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "worker/sim/device/stream.hpp"
#include "worker/sim/exec/fault.hpp"
#include "worker/sim/exec/output.hpp"
#include "worker/sim/memory/device_arena.hpp"

namespace vgpu::sim::device {

class Context : public std::enable_shared_from_this<Context> {
 public:
  Context(std::uint64_t handle, unsigned flags, bool primary, int device = 0);

  /// Creates the legacy stream; to be called once the context is owned by a shared_ptr.
  void open();
  /// Waits a while for the work, then stops it; joins all threads. Afterwards the context is dead.
  void close();

  std::shared_ptr<Stream> create_stream(Stream::Kind kind, int priority);
  /// The program forgets `stream`; its pending work goes on.
  void destroy_stream(const std::shared_ptr<Stream>& stream);
  const std::shared_ptr<Stream>& legacy() const { return legacy_; }

  /// The sticky error, or CUDA_SUCCESS.
  cuda::CUresult error() const { return static_cast<cuda::CUresult>(error_.load()); }
  /// Makes the fault the context's error, unless it has one, and stops running kernels.
  void fail(const exec::Fault& fault);

  /// Waits until all marks are set; false if the context ended meanwhile.
  bool wait(const std::vector<MarkPtr>& marks);
  /// The marks that stand for all work submitted so far on all streams.
  std::vector<MarkPtr> all_marks();
  std::vector<std::shared_ptr<Stream>> all_streams();
  bool wait_idle() { return wait(all_marks()); }

  std::uint64_t handle() const { return handle_; }
  std::uint64_t id() const { return id_; }
  bool is_primary() const { return primary_; }
  int device() const { return device_; }

  /// Access to the memory of other devices' contexts: CUDA_SUCCESS, or what the driver says of doing it twice.
  cuda::CUresult enable_peer(const Context& peer);
  cuda::CUresult disable_peer(const Context& peer);
  void forget_peer(std::uint64_t id);
  /// What its kernels may touch now.
  memory::Reach reach() const;
  std::atomic<unsigned> flags;
  exec::Output output;
  std::atomic<bool> stop_kernels{false};
  std::array<std::atomic<std::size_t>, 7> limits{};
  std::atomic<unsigned> cache_config{0};
  std::atomic<unsigned> shared_config{0};

  std::mutex mutex;
  std::condition_variable changed;

 private:
  friend class Stream;

  const std::uint64_t handle_;
  const std::uint64_t id_;
  const bool primary_;
  const int device_;
  std::atomic<int> error_{0};
  std::atomic<unsigned> peer_devices_{0};  ///< bits
  // Guarded by mutex.
  std::shared_ptr<Stream> legacy_;
  std::vector<std::shared_ptr<Stream>> streams_;
  std::map<std::uint64_t, int> peers_;  ///< id -> device
  std::uint64_t counted_ = 0;
  std::uint64_t staging_ = 0;
  bool closed_ = false;
};

/// Depth of the launch queues, as measured on the real driver.
constexpr std::uint32_t queue_depth = 1021;
constexpr std::uint64_t queue_depth_of_context = 8 * 1021;
/// Staging memory of a context for copies from pageable memory.
constexpr std::uint64_t staging_bytes = 4u << 20;

}  // namespace vgpu::sim::device
