#include "worker/channel_growth.hpp"

#include <cerrno>

#include "common/base/log.hpp"

namespace vgpu::worker {

using namespace cuda;

CUresult ChannelGrowth::grow(uint64_t size, uint64_t& window_offset, uint64_t& granted) {
  if (size == 0 || size % VGPU_EXTENT_ALIGN != 0 || size > window_.capacity() - window_.size())
    return CUDA_ERROR_OUT_OF_MEMORY;
  if (!asked_ && !ask(size)) return CUDA_ERROR_OUT_OF_MEMORY;
  control::ExtentGrant grant;
  if (const CUresult result = take_answer(grant); result != CUDA_SUCCESS) return result;
  if (const auto mapped = window_.grow(memory_, grant.window_offset, grant.size); !mapped) {
    log::error("{}", mapped.error().text);
    return CUDA_ERROR_OUT_OF_MEMORY;
  }
  pieces_.push_back(grant.size);
  window_offset = grant.window_offset;
  granted = grant.size;
  return CUDA_SUCCESS;
}

bool ChannelGrowth::ask(uint64_t size) {
  control::ExtentRequest request;
  request.size = size;
  asked_ = mail_.send(request);
  return asked_;
}

CUresult ChannelGrowth::take_answer(control::ExtentGrant& grant) {
  const auto frame = mail_.take(control::MessageType::extent_grant);
  if (!frame && frame.error().code == EAGAIN) return CUDA_ERROR_NOT_READY;
  asked_ = false;
  if (!frame) return CUDA_ERROR_OUT_OF_MEMORY;
  grant = frame->as<control::ExtentGrant>();
  const bool fits = grant.channel_offset == window_.size() && grant.size != 0;
  return fits ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult ChannelGrowth::shrink(uint64_t size) {
  if (pieces_.empty() || pieces_.back() != size || !window_.shrink(size)) return CUDA_ERROR_INVALID_VALUE;
  pieces_.pop_back();
  control::ExtentReturn message;
  message.size = size;
  // A broker that is gone does not get it back: the next one finds it as the channel's, and frees it with the channel.
  return mail_.send(message) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace vgpu::worker
