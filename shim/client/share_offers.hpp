// What is offered to other processes of the VM, and found by a token of theirs: the worker asks the broker meanwhile.
#pragma once

#include <algorithm>

#include "shim/client/asking.hpp"
#include "shim/client/share_tokens.hpp"

namespace vgpu::shim {

inline constexpr uint64_t kLongestShareNs = 5'000'000'000;  ///< for the broker's answer

inline wire::Bytes bytes_of(const ShareToken& token) { return {token.data(), token.size()}; }

/// Has the worker offer something, and takes the token by which others find it.
template <typename Reply, typename Op>
CUresult offer(const Op& op, ShareToken& token) {
  return ask_until_answered<Reply>(op, kLongestShareNs, [&](const Reply& reply) {
    std::copy_n(reply.token.begin(), std::min(reply.token.size(), token.size()), token.begin());
  });
}

/// A token that nobody of this VM offers is as good as a handle that is none.
inline CUresult as_foreign(CUresult result) {
  return result == CUDA_ERROR_INVALID_HANDLE ? CUDA_ERROR_INVALID_VALUE : result;
}

}  // namespace vgpu::shim
