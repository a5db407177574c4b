#include "broker/vm/stub_refusal.hpp"

#include "broker/vm/link.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::broker::vm {

vgpu_link make_refusal(control::HelloStatus status, const std::string& vm, const std::string& text) {
  vgpu_link answer{};
  answer.status = static_cast<std::uint32_t>(status);
  control::set_text(answer.vm, vm);
  control::set_text(answer.text, text);
  return answer;
}

void refuse_stub(int connection, control::HelloStatus status, const std::string& vm, const std::string& text) {
  auto answer = make_refusal(status, vm, text);
  answer.header = make_link_header(control::MessageType::link, sizeof answer, 0);
  (void)control::send_bytes(connection, &answer, sizeof answer, {},
                            control::Deadline::after(std::chrono::milliseconds(0)));
}

}  // namespace vgpu::broker::vm
