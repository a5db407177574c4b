// What kernels print: device printf (to stdout) and assertion texts (to stderr), kept until the program synchronises,
// as the real driver does. Bounded: what does not fit is dropped, and said so once. Thread-safe.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

namespace vgpu::sim::exec {

class Output {
 public:
  void print(std::string_view text);
  void complain(std::string_view text);
  /// Writes what has gathered to stdout and stderr.
  void flush();
  void set_capacity(std::size_t bytes);

 private:
  std::mutex mutex_;
  std::string out_;
  std::string err_;
  std::size_t capacity_ = 7u << 20;
  bool dropped_ = false;
};

}  // namespace vgpu::sim::exec
