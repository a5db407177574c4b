#include "worker/sim/device/context.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "worker/sim/device/simulator.hpp"

namespace vgpu::sim::device {
namespace {

/// How long a context waits for its work when it is destroyed, before it stops it.
constexpr std::chrono::milliseconds grace{2000};

std::uint64_t next_context_id() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1);
}

}  // namespace

Context::Context(std::uint64_t handle, unsigned wanted_flags, bool primary, int device)
    : flags(wanted_flags), handle_(handle), id_(next_context_id()), primary_(primary), device_(device) {
  constexpr std::size_t defaults[] = {1024, 7u << 20, 8u << 20, 0, 0, 64, 0};
  for (std::size_t i = 0; i < limits.size(); ++i) limits[i] = defaults[i];
}

void Context::open() { legacy_ = create_stream(Stream::Kind::legacy, 0); }

std::shared_ptr<Stream> Context::create_stream(Stream::Kind kind, int priority) {
  static std::atomic<std::uint64_t> created{0};
  const std::uint64_t seed = Simulator::get().settings().seed * 0x9e37'79b9'7f4a'7c15ull + created.fetch_add(1);
  auto stream = std::make_shared<Stream>(shared_from_this(), kind, priority, seed);
  std::vector<std::shared_ptr<Stream>> ended;
  const std::lock_guard lock(mutex);
  const auto first_ended =
      std::stable_partition(streams_.begin(), streams_.end(), [](const auto& known) { return !known->is_finished(); });
  ended.assign(first_ended, streams_.end());
  streams_.erase(first_ended, streams_.end());
  for (const auto& known : ended)
    if (known->thread_.joinable()) known->thread_.join();
  streams_.push_back(stream);
  return stream;
}

void Context::destroy_stream(const std::shared_ptr<Stream>& stream) { stream->close(); }

cuda::CUresult Context::enable_peer(const Context& peer) {
  const std::lock_guard lock(mutex);
  if (!peers_.emplace(peer.id(), peer.device()).second) return cuda::CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED;
  peer_devices_ |= 1u << peer.device();
  return cuda::CUDA_SUCCESS;
}

cuda::CUresult Context::disable_peer(const Context& peer) {
  const std::lock_guard lock(mutex);
  if (peers_.erase(peer.id()) == 0) return cuda::CUDA_ERROR_PEER_ACCESS_NOT_ENABLED;
  unsigned devices = 0;
  for (const auto& [id, device] : peers_) devices |= 1u << device;
  peer_devices_ = devices;
  return cuda::CUDA_SUCCESS;
}

void Context::forget_peer(std::uint64_t id) {
  const std::lock_guard lock(mutex);
  if (peers_.erase(id) == 0) return;
  unsigned devices = 0;
  for (const auto& [peer, device] : peers_) devices |= 1u << device;
  peer_devices_ = devices;
}

memory::Reach Context::reach() const { return {1u << device_, peer_devices_.load()}; }

void Context::fail(const exec::Fault& fault) {
  int none = 0;
  if (!error_.compare_exchange_strong(none, static_cast<int>(fault.code))) return;
  std::fprintf(stderr, "vgpu-simcuda: context %llu failed with error %d: %s\n", static_cast<unsigned long long>(id_),
               static_cast<int>(fault.code), fault.text.c_str());
  stop_kernels = true;
  const std::lock_guard lock(mutex);
  changed.notify_all();
}

std::vector<MarkPtr> Context::all_marks() {
  const std::lock_guard lock(mutex);
  std::vector<MarkPtr> out;
  for (const auto& stream : streams_)
    if (!stream->tail_->done) out.push_back(stream->tail_);
  return out;
}

std::vector<std::shared_ptr<Stream>> Context::all_streams() {
  const std::lock_guard lock(mutex);
  return streams_;
}

bool Context::wait(const std::vector<MarkPtr>& marks) {
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] {
    return closed_ || std::all_of(marks.begin(), marks.end(), [](const MarkPtr& mark) { return mark->done.load(); });
  });
  return !closed_;
}

void Context::close() {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    std::unique_lock lock(mutex);
    if (error() == cuda::CUDA_SUCCESS) {
      changed.wait_for(lock, grace, [&] {
        return std::all_of(streams_.begin(), streams_.end(),
                           [](const auto& stream) { return stream->tail_->done.load(); });
      });
    }
    closed_ = true;
    streams.swap(streams_);
    legacy_.reset();
    changed.notify_all();
  }
  stop_kernels = true;
  for (const auto& stream : streams) stream->stop();
  output.flush();
}

}  // namespace vgpu::sim::device
