#include "worker/legacy/request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace vgpu::worker::legacy {
namespace {

using base::Error;

static_assert(sizeof(vgpu_legacy_answer) + VGPU_LEGACY_INFO_COUNT * sizeof(uint32_t) < VGPU_LEGACY_BUFFER_SIZE);

/// How many parameters an operation has; -1: there is no such operation.
int parameters_of(uint32_t opcode) {
  switch (opcode) {
    case VGPU_LEGACY_NO_OP:
    case VGPU_LEGACY_DEVICE_INFORMATION:
      return 0;
    case VGPU_LEGACY_ADD:
      return 2;
    default:
      return -1;
  }
}

/// Empty if parameters and data lie within the `size` bytes.
std::string check_lengths(const vgpu_legacy_call& call, size_t size) {
  const uint64_t parameters_end = sizeof call + uint64_t{call.parameter_count} * sizeof(uint32_t);
  if (parameters_end > size) return fmt::format("{} parameters do not fit into {} bytes", call.parameter_count, size);
  if (call.data_length == 0) return {};
  const uint64_t data_end = uint64_t{call.data_offset} + call.data_length;
  if (call.data_offset < parameters_end || data_end > size)
    return fmt::format("data of {} bytes at {} does not lie behind the parameters within {} bytes", call.data_length,
                       call.data_offset, size);
  return {};
}

}  // namespace

base::Result<Request> parse_request(std::span<const std::byte> bytes) {
  vgpu_legacy_call call;
  if (bytes.size() > VGPU_LEGACY_BUFFER_SIZE)
    return Error{VGPU_LEGACY_REQUEST_TOO_LARGE, fmt::format("{} bytes are too many", bytes.size())};
  if (bytes.size() < sizeof call)
    return Error{VGPU_LEGACY_INVALID_LENGTH, fmt::format("{} bytes are no request", bytes.size())};
  std::memcpy(&call, bytes.data(), sizeof call);
  if (call.version != VGPU_LEGACY_VERSION)
    return Error{VGPU_LEGACY_INVALID_REQUEST, fmt::format("version {:#x} is not known", call.version)};
  if (auto problem = check_lengths(call, bytes.size()); !problem.empty())
    return Error{VGPU_LEGACY_INVALID_LENGTH, std::move(problem)};
  const int parameters = parameters_of(call.opcode);
  if (parameters < 0) return Error{VGPU_LEGACY_UNSUPPORTED, fmt::format("opcode {} is not supported", call.opcode)};
  // A no-op, and a question about the device, may carry what they do not need.
  if (parameters != 0 && call.parameter_count != static_cast<uint32_t>(parameters))
    return Error{VGPU_LEGACY_INVALID_REQUEST,
                 fmt::format("opcode {} has {} parameters, not {}", call.opcode, parameters, call.parameter_count)};
  Request request;
  request.opcode = static_cast<vgpu_legacy_opcode>(call.opcode);
  std::memcpy(request.parameters.data(), bytes.data() + sizeof call, parameters * sizeof(uint32_t));
  return request;
}

std::string describe(const Request& request) {
  switch (request.opcode) {
    case VGPU_LEGACY_ADD:
      return fmt::format("{}+{}", request.parameters[0], request.parameters[1]);
    case VGPU_LEGACY_DEVICE_INFORMATION:
      return "device information";
    default:
      return "no-op";
  }
}

std::vector<std::byte> pack(const Response& response, uint32_t execution_us) {
  const size_t results_size = response.results.size() * sizeof(uint32_t);
  const size_t data_offset = sizeof(vgpu_legacy_answer) + results_size;
  const size_t data_size = std::min(response.data.size(), VGPU_LEGACY_BUFFER_SIZE - data_offset);
  vgpu_legacy_answer answer{};
  answer.version = VGPU_LEGACY_VERSION;
  answer.status = response.error;
  answer.result_count = static_cast<uint32_t>(response.results.size());
  answer.data_offset = data_size == 0 ? 0 : static_cast<uint32_t>(data_offset);
  answer.data_length = static_cast<uint32_t>(data_size);
  answer.execution_us = execution_us;
  std::vector<std::byte> bytes(data_offset + data_size);
  std::memcpy(bytes.data(), &answer, sizeof answer);
  if (results_size != 0) std::memcpy(bytes.data() + sizeof answer, response.results.data(), results_size);
  std::memcpy(bytes.data() + data_offset, response.data.data(), data_size);
  return bytes;
}

}  // namespace vgpu::worker::legacy
