// Operations that end in a name: names of C++ kernels are long, so they travel as the record's tail.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "shim/client/handles.hpp"
#include "shim/client/request.hpp"

namespace vgpu::shim {

inline constexpr size_t kMaxName = 4096;

/// Sends {owner, result if not 0, name}.
inline CUresult ask_by_name(Request& request, uint64_t owner, uint64_t result, std::string_view name) {
  if (name.size() > kMaxName) return CUDA_ERROR_NOT_FOUND;
  request.body().put(owner);
  if (result != 0) request.body().put(result);
  request.body().put(static_cast<uint32_t>(name.size()));
  return request.call({reinterpret_cast<const uint8_t*>(name.data()), name.size()});
}

/// A fresh handle that is given back unless it is kept.
class NewHandle {
 public:
  explicit NewHandle(wire::Kind kind) : value_(handles(kind).make()) {}
  NewHandle(const NewHandle&) = delete;
  NewHandle& operator=(const NewHandle&) = delete;
  ~NewHandle() {
    if (value_ != 0) handles(wire::kind_of(value_)).discard(value_);
  }
  /// 0 if there is none left.
  uint64_t value() const { return value_; }
  uint64_t keep() { return std::exchange(value_, 0); }

 private:
  uint64_t value_;
};

}  // namespace vgpu::shim
