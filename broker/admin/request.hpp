// What may be asked at the admin socket: one JSON object a line, such as {"request": "kill", "client": 7}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.hpp"

namespace vgpu::broker::admin {

enum class Verb { status, list, kill, quarantine, release, reload, settings };
enum class Subject { vms, clients, workers, gpus, sockets };

struct Request {
  Verb verb = Verb::status;
  Subject subject = Subject::vms;  // of list
  std::uint64_t client = 0;        // of kill; 0: a whole VM
  std::string vm;                  // of kill, quarantine, release
};

/// Bytes of a request, without the end of the line.
inline constexpr std::size_t kLongestRequest = 4096;

/// Every key must be known and of its type; what is missing, or too much, is named in the error.
base::Result<Request> parse_request(std::string_view line);

}  // namespace vgpu::broker::admin
