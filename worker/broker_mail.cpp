#include "worker/broker_mail.hpp"

#include <cerrno>

namespace vgpu::worker {
namespace {

/// Nobody is owed more answers than this at a time; a broker that sends more is not ours.
constexpr std::size_t kMostKept = 256;

}  // namespace

base::Result<control::Frame> BrokerMail::take(control::MessageType type) {
  if (auto kept = kept_.extract(type)) return std::move(kept.mapped());
  for (;;) {
    auto frame = control::read_packet(control_);
    if (!frame || frame->header().type == type) return frame;
    if (kept_.size() >= kMostKept) return base::Error{EPROTO, "the broker answers what nobody asked"};
    const auto other = frame->header().type;
    kept_.emplace(other, std::move(*frame));
  }
}

bool BrokerMail::send_frame(const void* message, std::size_t size, int descriptor) {
  const std::span<const int> descriptors(&descriptor, descriptor < 0 ? 0 : 1);
  const auto at_once = control::Deadline::after(std::chrono::milliseconds(0));
  return static_cast<bool>(control::send_bytes(control_, message, size, descriptors, at_once));
}

}  // namespace vgpu::worker
