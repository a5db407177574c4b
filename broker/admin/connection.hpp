// One administrator: reads a line, has it answered, writes the answer, and only then reads the next one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "broker/event/event.hpp"

namespace vgpu::broker::admin {

class Connection {
 public:
  struct Times {
    std::chrono::milliseconds request{30'000};  // from one answer to the end of the next request
    std::chrono::milliseconds answer{10'000};   // until an answer has been taken
  };

  /// `answer` gives one line, without its end, for each line that comes; the first line that is too long, and the end
  /// of a time, close the connection. `on_closed` is called once and may not destroy it before it has returned.
  Connection(event::Loop& loop, base::UniqueFd socket, std::function<std::string(std::string_view line)> answer,
             std::function<void()> on_closed, Times times);

 private:
  void read();
  void go_on();
  void send(std::string line);
  void write();
  void wait_for_request(base::UniqueFd socket);
  void close();

  event::Loop& loop_;
  std::function<std::string(std::string_view)> answer_;
  std::function<void()> on_closed_;
  const Times times_;
  std::string received_;
  std::string unsent_;
  bool ended_ = false;  // the other end sends no more
  event::Timer deadline_;
  std::optional<event::Readable> readable_;
  std::optional<event::Writable> writable_;  // one of the two, while open
};

}  // namespace vgpu::broker::admin
