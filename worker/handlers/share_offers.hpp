// What handlers offer to other workers of the VM, and find there.
#pragma once

#include <cstring>

#include "worker/session.hpp"

namespace vgpu::worker::handlers {

/// A handle of the driver as it is kept by the broker.
template <typename Handle>
Shares::Data to_data(const Handle& handle) {
  static_assert(sizeof handle <= sizeof(Shares::Data));
  Shares::Data data{};
  std::memcpy(data.data(), &handle, sizeof handle);
  return data;
}

template <typename Handle>
Handle from_data(const Shares::Data& data) {
  Handle handle;
  std::memcpy(&handle, data.data(), sizeof handle);
  return handle;
}

/// Offers what the driver exported, and answers the token.
template <typename Reply>
void finish_with_offer(Session& session, Call& call, control::ShareKind kind, const Shares::Data& data,
                       int descriptor = -1) {
  control::ShareToken token{};
  const CUresult result = session.shares()->offer(kind, data, descriptor, token);
  Reply{wire::Bytes(token.data(), token.size())}.encode(call.reply());
  call.finish(result);
}

/// What is behind a token that the guest sent.
inline CUresult look_up(Session& session, wire::Bytes bytes, control::ShareKind kind, Shares::Found& found) {
  control::ShareToken token;
  if (session.shares() == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  if (bytes.size() != token.size()) return session.violation("a token of another size");
  std::memcpy(token.data(), bytes.data(), token.size());
  return session.shares()->find(token, kind, found);
}

}  // namespace vgpu::worker::handlers
