// Decodes a record's body from private memory. It fails for good on the first bad byte: every later read gives zero.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

namespace vgpu::wire {

using Bytes = std::span<const uint8_t>;

class Reader {
 public:
  explicit Reader(Bytes bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  template <typename T>
  T take() {
    static_assert(std::is_arithmetic_v<T>);
    T value{};
    raw(&value, sizeof value);
    return value;
  }
  /// A length and that many bytes, at most `cap`; the view ends with the buffer that is being read.
  Bytes bytes(size_t cap) {
    const auto size = take<uint32_t>();
    if (size > cap || size > left()) failed_ = true;
    if (failed_) return {};
    const Bytes view(at_, size);
    at_ += size;
    return view;
  }
  std::string_view text(size_t cap) {
    const Bytes view = bytes(cap);
    return {reinterpret_cast<const char*>(view.data()), view.size()};
  }
  /// Copies `size` bytes out; zeros if there are not that many.
  void raw(void* to, size_t size) {
    if (failed_ || size > left()) {
      failed_ = true;
      std::memset(to, 0, size);
      return;
    }
    std::memcpy(to, at_, size);
    at_ += size;
  }

  bool failed() const { return failed_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  /// True if everything was read and nothing is left.
  bool complete() const { return !failed_ && at_ == end_; }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
  bool failed_ = false;
};

}  // namespace vgpu::wire
