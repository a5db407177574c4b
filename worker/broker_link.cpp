#include "worker/broker_link.hpp"

#include "common/base/log.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::worker {
namespace {

// The broker cuts a worker off that sends more than 64 messages.
constexpr unsigned kMostSentences = 32;

}  // namespace

void BrokerLink::ready(control::WorkerReady message) {
  const auto sent =
      control::send_message(control_.get(), message, {}, control::Deadline::after(std::chrono::seconds(1)));
  if (!sent) log::warning("the broker does not hear that this worker is ready: {}", sent.error().text);
}

void BrokerLink::say(const std::string& text, int cuda_error) {
  log::debug("{}", text);
  if (++said_ > kMostSentences) return;
  control::WorkerStatus status;
  status.cuda_error = static_cast<std::uint32_t>(cuda_error);
  control::set_text(status.text, text);
  (void)control::send_message(control_.get(), status, {}, control::Deadline::after(std::chrono::milliseconds(0)));
}

}  // namespace vgpu::worker
