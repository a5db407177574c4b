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

/// A fresh handle for what a request creates. Unless kept it comes back, but not if the worker made the object all the
/// same.
class NewHandle {
 public:
  NewHandle(const Request& request, wire::Kind kind)
      : request_(request), value_(request.refusal() == CUDA_SUCCESS ? handles(kind).make() : 0) {}
  NewHandle(const NewHandle&) = delete;
  NewHandle& operator=(const NewHandle&) = delete;
  ~NewHandle() {
    if (value_ != 0 && !request_.took_effect()) handles(wire::kind_of(value_)).discard(value_);
  }
  /// 0 if there is none left, or the request is refused anyway: why() says which.
  uint64_t value() const { return value_; }
  CUresult why() const { return request_.refusal() != CUDA_SUCCESS ? request_.refusal() : CUDA_ERROR_OUT_OF_MEMORY; }
  uint64_t keep() { return std::exchange(value_, 0); }

 private:
  const Request& request_;
  uint64_t value_;
};

}  // namespace vgpu::shim
