// Asks the broker at its admin socket.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "common/base/result.hpp"
#include "common/base/unique_fd.hpp"
#include "common/control/deadline.hpp"

namespace vgpu::admin {

using Json = nlohmann::ordered_json;

class Broker {
 public:
  /// Error code: errno of the attempt. The text says what to do about it.
  static base::Result<Broker> connect(const std::string& socket);

  /// The answer, which may be a refusal: {"ok": false, "error": ...}. An error: the broker did not answer.
  base::Result<Json> ask(const Json& request);

 private:
  Broker(base::UniqueFd connection, std::string socket)
      : connection_(std::move(connection)), socket_(std::move(socket)) {}
  base::Result<std::string> read_line(control::Deadline deadline);

  base::UniqueFd connection_;
  std::string socket_;
  std::string received_;
};

}  // namespace vgpu::admin
