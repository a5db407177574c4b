#include "common/control/messages.hpp"

#include <algorithm>

namespace vgpu::control {

std::size_t message_size(MessageType type) {
  switch (type) {
    case MessageType::hello:
      return sizeof(Hello);
    case MessageType::hello_reply:
      return sizeof(HelloReply);
    case MessageType::worker_ready:
      return sizeof(WorkerReady);
    case MessageType::worker_status:
      return sizeof(WorkerStatus);
    case MessageType::extent_request:
      return sizeof(ExtentRequest);
    case MessageType::extent_grant:
      return sizeof(ExtentGrant);
    case MessageType::extent_return:
      return sizeof(ExtentReturn);
    case MessageType::legacy_result:
      return sizeof(LegacyResult);
    case MessageType::share_offer:
      return sizeof(ShareOffer);
    case MessageType::share_request:
      return sizeof(ShareRequest);
    case MessageType::share_answer:
      return sizeof(ShareAnswer);
    case MessageType::stub_hello:
      return sizeof(vgpu_stub_hello);
    case MessageType::link:
      return sizeof(vgpu_link);
    case MessageType::open:
      return sizeof(vgpu_open);
    case MessageType::opened:
      return sizeof(vgpu_opened);
    case MessageType::close:
      return sizeof(vgpu_close);
    case MessageType::closed:
      return sizeof(vgpu_closed);
    case MessageType::legacy_request:
      return sizeof(vgpu_legacy_request);
    case MessageType::legacy_response:
      return sizeof(vgpu_legacy_response);
  }
  return 0;
}

bool is_fd_count_valid(MessageType type, std::size_t count) {
  if (count == 0) return true;
  switch (type) {
    case MessageType::hello_reply:
      return count == 2 || count == 3;
    case MessageType::stub_hello:
    case MessageType::link:
    case MessageType::share_offer:
    case MessageType::share_answer:
      return count == 1;
    case MessageType::opened:
      return count == 2;
    default:
      return false;
  }
}

void set_text(std::span<char> field, std::string_view text) {
  const auto length = std::min(text.size(), field.size() - 1);
  std::copy_n(text.begin(), length, field.begin());
  std::fill(field.begin() + static_cast<std::ptrdiff_t>(length), field.end(), '\0');
}

std::string get_text(std::span<const char> field) {
  std::string text(field.begin(), std::find(field.begin(), field.end(), '\0'));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

}  // namespace vgpu::control
