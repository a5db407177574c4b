// The direct transport: client and broker on one kernel, a memfd and an eventfd.
#include "shim/transport/direct.hpp"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

namespace vgpu::shim::transport {
namespace {

class Direct final : public Transport {
 public:
  explicit Direct(control::Connection connection) : connection_(std::move(connection)) {}

  int window_fd() const override { return connection_.window.get(); }
  uint64_t window_offset() const override { return connection_.window_offset; }
  uint64_t window_size() const override { return connection_.window_size; }
  uint64_t window_capacity() const override { return connection_.window_capacity; }
  const std::vector<control::AddressCandidate>& candidates() const override { return connection_.candidates; }
  uint64_t client_id() const override { return connection_.client_id; }
  bool has_futex() const override { return true; }

  bool has_lost_worker() const override {
    pollfd worker{connection_.worker.get(), POLLIN, 0};  // a negative descriptor is ignored
    return ::poll(&worker, 1, 0) > 0;
  }

  void ring_doorbell(uint32_t) const override {
    const uint64_t one = 1;
    ssize_t written;
    do {
      written = ::write(connection_.doorbell.get(), &one, sizeof one);
    } while (written < 0 && errno == EINTR);
  }

 private:
  control::Connection connection_;
};

}  // namespace

std::unique_ptr<Transport> make_direct(control::Connection connection) {
  return std::unique_ptr<Transport>(new Direct(std::move(connection)));
}

}  // namespace vgpu::shim::transport
