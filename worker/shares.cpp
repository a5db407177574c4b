#include "worker/shares.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

#include "worker/dispatch/clock.hpp"
#include "worker/objects/limits.hpp"

namespace vgpu::worker {

using namespace cuda;

namespace {

/// Questions on their way. Who asked may have given up, so the oldest are forgotten.
constexpr size_t kMostAsked = 64;

bool make_token(control::ShareToken& token) {
  return ::getrandom(token.data(), token.size(), 0) == static_cast<ssize_t>(token.size());
}

}  // namespace

CUresult Shares::offer(control::ShareKind kind, const Data& data, int descriptor, control::ShareToken& token) {
  if (const auto known = offered_.find({kind, data}); descriptor < 0 && known != offered_.end()) {
    token = known->second;
    return CUDA_SUCCESS;
  }
  if (offers_ >= kMostOffers) return CUDA_ERROR_OUT_OF_MEMORY;
  if (!is_within_rate()) return CUDA_ERROR_NOT_READY;
  control::ShareOffer message;
  message.kind = kind;
  message.data = data;
  if (!make_token(message.token) || !mail_.send(message, descriptor)) return CUDA_ERROR_OPERATING_SYSTEM;
  ++offers_;
  if (descriptor < 0) offered_[{kind, data}] = message.token;
  token = message.token;
  return CUDA_SUCCESS;
}

CUresult Shares::find(const control::ShareToken& token, control::ShareKind kind, Found& found) {
  take_answers();
  if (auto answer = answers_.extract(token)) {
    auto& [answered_kind, answered] = answer.mapped();
    if (answered_kind != kind) return CUDA_ERROR_INVALID_HANDLE;
    found = std::move(answered);
    return CUDA_SUCCESS;
  }
  if (std::find(asked_.begin(), asked_.end(), token) != asked_.end() || !is_within_rate()) return CUDA_ERROR_NOT_READY;
  control::ShareRequest request;
  request.token = token;
  if (!mail_.send(request)) return CUDA_ERROR_OPERATING_SYSTEM;
  if (asked_.size() == kMostAsked) asked_.pop_front();
  asked_.push_back(token);
  return CUDA_ERROR_NOT_READY;
}

void Shares::take_answers() {
  for (;;) {
    auto frame = mail_.take(control::MessageType::share_answer);
    if (!frame) return;
    const auto answer = frame->as<control::ShareAnswer>();
    const auto asked = std::find(asked_.begin(), asked_.end(), answer.token);
    if (asked == asked_.end()) continue;  // forgotten
    asked_.erase(asked);
    Found found{answer.data, {}};
    if (!frame->fds.empty()) found.descriptor = std::move(frame->fds.front());
    if (answers_.size() >= kMostAsked) answers_.clear();  // whoever asked has gone
    answers_.insert_or_assign(answer.token, std::pair(answer.kind, std::move(found)));
  }
}

bool Shares::note_closed(uint64_t address) {
  const auto opened = opened_.find(address);
  if (opened == opened_.end()) return true;
  if (--opened->second != 0) return false;
  opened_.erase(opened);
  return true;
}

bool Shares::is_within_rate() {
  const uint64_t second = now_ns() / 1'000'000'000;
  if (second != second_) in_this_second_ = 0;
  second_ = second;
  return ++in_this_second_ <= control::kMostSharesPerSecond;
}

}  // namespace vgpu::worker
