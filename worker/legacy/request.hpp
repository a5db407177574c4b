// A legacy request as the guest wrote it, taken apart, and the response to it (common/abi/legacy_stub.h). No GPU here:
// pure functions over private copies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "common/abi/legacy_stub.h"
#include "common/base/result.hpp"

namespace vgpu::worker::legacy {

struct Request {
  vgpu_legacy_opcode opcode = VGPU_LEGACY_NO_OP;
  std::array<uint32_t, 2> parameters{};  // of VGPU_LEGACY_ADD
};

struct Response {
  vgpu_legacy_error error = VGPU_LEGACY_OK;
  std::vector<uint32_t> results;
  std::string data;
  std::string text;  // for the log: the result, or what went wrong
};

/// `bytes`: all that came. The error's code is an enum vgpu_legacy_error, its text says what is wrong.
base::Result<Request> parse_request(std::span<const std::byte> bytes);

/// For the log: "100+200".
std::string describe(const Request& request);

/// As the guest reads it; data is cut to what fits.
std::vector<std::byte> pack(const Response& response, uint32_t execution_us);

}  // namespace vgpu::worker::legacy
