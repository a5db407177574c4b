// Encodes a record's body into a buffer that the caller owns. Too much: it fails for good and writes nothing more.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "common/wire/reader.hpp"

namespace vgpu::wire {

class Writer {
 public:
  explicit Writer(std::span<uint8_t> buffer)
      : begin_(buffer.data()), at_(buffer.data()), end_(buffer.data() + buffer.size()) {}

  template <typename T>
  void put(T value) {
    static_assert(std::is_arithmetic_v<T>);
    raw(&value, sizeof value);
  }
  void bytes(Bytes view) {
    put(static_cast<uint32_t>(view.size()));
    raw(view.data(), view.size());
  }
  void text(std::string_view view) {
    put(static_cast<uint32_t>(view.size()));
    raw(view.data(), view.size());
  }
  void raw(const void* from, size_t size) {
    if (failed_ || size > static_cast<size_t>(end_ - at_)) {
      failed_ = true;
      return;
    }
    if (size != 0) std::memcpy(at_, from, size);
    at_ += size;
  }

  bool failed() const { return failed_; }
  size_t size() const { return static_cast<size_t>(at_ - begin_); }
  Bytes written() const { return {begin_, size()}; }

 private:
  uint8_t* begin_;
  uint8_t* at_;
  uint8_t* end_;
  bool failed_ = false;
};

}  // namespace vgpu::wire
