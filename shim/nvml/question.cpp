#include "shim/nvml/question.hpp"

#include <cstring>

#include "common/api/cuda_types.hpp"
#include "shim/nvml/answers.hpp"
#include "shim/nvml/devices.hpp"
#include "shim/nvml/entry.hpp"
#include "shim/nvml/start.hpp"

namespace vgpu::shim::nvml {

Question::Question(uint32_t number) : number_(number), arguments_(std::span<uint8_t>(sent_)), answer_(wire::Bytes()) {
  if (!is_initialized()) refuse(NVML_ERROR_UNINITIALIZED);
}

void Question::ask_of(nvmlDevice_t device) {
  if (!index_of(device, device_)) refuse(NVML_ERROR_INVALID_ARGUMENT);
}

void Question::put_device(nvmlDevice_t device) {
  unsigned index = 0;
  if (!index_of(device, index)) refuse(NVML_ERROR_INVALID_ARGUMENT);
  arguments_.put(index);
}

nvmlReturn_t Question::ask(Answered how) {
  if (arguments_.failed()) refuse(NVML_ERROR_UNKNOWN);
  if (result_ != NVML_SUCCESS) return result_;
  const wire::Bytes arguments = arguments_.written();
  const Asked asked{number_, device_, arguments.data(), arguments.size()};
  Kept kept{};
  if (how == Answered::once && find_kept(asked, kept)) {
    answer_ = wire::Reader(wire::Bytes(kept.answer, kept.size));
    return result_ = kept.result;
  }
  uint32_t result = NVML_SUCCESS;
  size_t size = sizeof received_;
  const int sent = bridge().query(number_, device_, arguments.data(), arguments.size(), received_, &size, &result);
  if (sent != cuda::CUDA_SUCCESS) return result_ = result_of(sent);
  result_ = static_cast<nvmlReturn_t>(result);
  answer_ = wire::Reader(wire::Bytes(received_, size));
  // Other failures may pass.
  if (how == Answered::once && (result_ == NVML_SUCCESS || result_ == NVML_ERROR_NOT_SUPPORTED))
    keep(asked, {result_, received_, size});
  return result_;
}

void Question::take_text(char* to, unsigned size) {
  const std::string_view text = answer_.text(kMostAnswer);
  if (answer_.failed()) return refuse(NVML_ERROR_UNKNOWN);
  if (text.size() >= size) return refuse(NVML_ERROR_INSUFFICIENT_SIZE);
  std::memcpy(to, text.data(), text.size());
  to[text.size()] = '\0';
}

}  // namespace vgpu::shim::nvml
