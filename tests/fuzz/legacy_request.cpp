// A legacy request as a guest may write it: what is accepted says what its bytes say, what is not has an error of the
// list; and a response of any size fits into the guest's buffer.
#include "worker/legacy/request.hpp"

#include <cstdlib>
#include <cstring>

#include "tests/fuzz/input.hpp"

namespace {

using namespace vgpu::worker::legacy;

void check_accepted(const Request& request, std::span<const std::byte> bytes) {
  vgpu_legacy_call call;
  if (bytes.size() < sizeof call || bytes.size() > VGPU_LEGACY_BUFFER_SIZE) std::abort();
  std::memcpy(&call, bytes.data(), sizeof call);
  if (call.version != VGPU_LEGACY_VERSION || request.opcode != call.opcode || describe(request).empty()) std::abort();
  if (request.opcode != VGPU_LEGACY_ADD) return;
  if (call.parameter_count != 2 || bytes.size() < sizeof call + 8) std::abort();
  if (std::memcmp(request.parameters.data(), bytes.data() + sizeof call, 8) != 0) std::abort();
}

void check_refusal(const vgpu::base::Error& error) {
  const bool is_listed = error.code == VGPU_LEGACY_INVALID_REQUEST || error.code == VGPU_LEGACY_REQUEST_TOO_LARGE ||
                         error.code == VGPU_LEGACY_UNSUPPORTED || error.code == VGPU_LEGACY_INVALID_LENGTH;
  if (!is_listed || error.text.empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto request = parse_request(bytes);
  if (request)
    check_accepted(*request, bytes);
  else
    check_refusal(request.error());
  const Response response{VGPU_LEGACY_OK, {1, 2, 3}, std::string(reinterpret_cast<const char*>(data), size), ""};
  const auto packed = pack(response, 1);
  if (packed.size() > VGPU_LEGACY_BUFFER_SIZE || packed.size() < sizeof(vgpu_legacy_answer) + 12) std::abort();
  return 0;
}
