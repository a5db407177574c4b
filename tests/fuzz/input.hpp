// A fuzzer's bytes, taken from the front: what is not there is zero.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace vgpu::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  uint8_t byte() {
    if (rest_.empty()) return 0;
    const uint8_t front = rest_.front();
    rest_ = rest_.subspan(1);
    return front;
  }
  uint64_t word() {
    uint64_t value = 0;
    const auto bytes = take(sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  std::span<const uint8_t> take(size_t most) {
    const auto front = rest_.first(std::min(most, rest_.size()));
    rest_ = rest_.subspan(front.size());
    return front;
  }
  std::span<const uint8_t> rest() { return take(rest_.size()); }
  std::string_view text() {
    const auto bytes = rest();
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const uint8_t> rest_;
};

}  // namespace vgpu::fuzz
