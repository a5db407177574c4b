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
  }
  return 0;
}

bool is_fd_count_valid(MessageType type, std::size_t count) {
  return count == 0 || (type == MessageType::hello_reply && (count == 2 || count == 3));
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
