#include "worker/legacy/serve.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "common/base/log.hpp"
#include "common/control/exit_class.hpp"
#include "common/control/socket_io.hpp"

namespace vgpu::worker::legacy {
namespace {

using Clock = std::chrono::steady_clock;

Response failure(vgpu_legacy_error error, std::string text) { return {error, {}, {}, std::move(text)}; }

Response compute(Gpu& gpu, const Request& request) {
  if (request.opcode == VGPU_LEGACY_NO_OP) return {VGPU_LEGACY_OK, {}, {}, "done"};
  if (request.opcode == VGPU_LEGACY_DEVICE_INFORMATION) {
    auto information = gpu.information();
    return information ? *information : failure(VGPU_LEGACY_CUDA_ERROR, information.error().text);
  }
  const auto sum = gpu.add(request.parameters[0], request.parameters[1]);
  if (!sum) return failure(VGPU_LEGACY_CUDA_ERROR, sum.error().text);
  return {VGPU_LEGACY_OK, {*sum}, {}, std::to_string(*sum)};
}

uint32_t microseconds_since(Clock::time_point begin) {
  return static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count());
}

/// The next request; an error when the broker has closed or talks nonsense.
base::Result<vgpu_legacy_request> receive(int control) {
  for (;;) {
    auto frame = control::read_packet(control);
    if (frame && frame->header().type == control::MessageType::legacy_request) return frame->as<vgpu_legacy_request>();
    if (frame) return base::Error{EBADMSG, "the broker sent something else than a request"};
    if (frame.error().code != EAGAIN) return frame.error();
    // Without a deadline: the broker's end of the socket, or its death, ends the wait.
    pollfd entry{control, POLLIN, 0};
    ::poll(&entry, 1, -1);
  }
}

/// A worker that hangs in the driver does not see its socket close: the kernel ends it with its broker.
void end_with_the_broker() {
  ::signal(SIGPIPE, SIG_IGN);
  for (const int number : {SIGHUP, SIGUSR1, SIGUSR2}) ::signal(number, SIG_IGN);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

}  // namespace

control::LegacyResult answer(Gpu& gpu, const vgpu_legacy_request& message) {
  const auto begin = Clock::now();
  const size_t length = std::min<size_t>(message.length, sizeof message.payload);
  const auto request = parse_request(std::as_bytes(std::span(message.payload)).first(length));
  const auto response = request ? compute(gpu, *request)
                                : failure(static_cast<vgpu_legacy_error>(request.error().code), request.error().text);
  const auto bytes = pack(response, microseconds_since(begin));
  control::LegacyResult result;
  result.request_id = message.request_id;
  result.error = response.error;
  result.length = static_cast<uint32_t>(bytes.size());
  std::copy(bytes.begin(), bytes.end(), std::as_writable_bytes(std::span(result.payload)).begin());
  control::set_text(result.asked, request ? describe(*request) : "malformed");
  control::set_text(result.came, response.text);
  return result;
}

int serve(base::UniqueFd control, const std::string& driver) {
  end_with_the_broker();
  Gpu gpu(driver);
  for (;;) {
    const auto request = receive(control.get());
    if (!request && request.error().code == EPIPE) return control::kExitClean;
    if (!request) {
      log::error("{}", request.error().text);
      return control::kExitUsage;
    }
    const auto result = answer(gpu, *request);
    const auto sent =
        control::send_message(control.get(), result, {}, control::Deadline::after(std::chrono::seconds(1)));
    if (!sent) return control::kExitClean;  // nobody is left to hear it
    if (result.error == VGPU_LEGACY_CUDA_ERROR) return control::kExitGpuFault;
  }
}

}  // namespace vgpu::worker::legacy
