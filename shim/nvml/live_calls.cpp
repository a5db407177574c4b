// What is asked each time and has a shape of its own: lists of values and of processes.
#include <unistd.h>

#include "common/api/cuda_types.hpp"
#include "common/api/nvml_questions.gen.hpp"
#include "shim/nvml/calls.gen.hpp"
#include "shim/nvml/devices.hpp"
#include "shim/nvml/question.hpp"
#include "shim/nvml/start.hpp"

namespace vgpu::shim::nvml::calls {
namespace {

constexpr auto kFieldValues = static_cast<uint32_t>(::vgpu::nvml::Question::nvmlDeviceGetFieldValues);

void fill(nvmlProcessInfo_v1_t& info, uint64_t used) { info = {static_cast<unsigned>(::getpid()), used}; }
void fill(nvmlProcessInfo_v2_t& info, uint64_t used) {
  info = {static_cast<unsigned>(::getpid()), used, kNoInstance, kNoInstance};
}

/// `count`: in, the room; out, how many there are. At most this process: others are not shown.
template <typename Info>
nvmlReturn_t list_own(nvmlDevice_t device, unsigned* count, Info* infos) {
  unsigned index = 0;
  if (!index_of(device, index) || count == nullptr || (*count != 0 && infos == nullptr))
    return NVML_ERROR_INVALID_ARGUMENT;
  uint32_t result = NVML_SUCCESS, has_context = 0;
  uint64_t used = 0;
  const int asked = bridge().process(index, &result, &has_context, &used);
  if (asked != cuda::CUDA_SUCCESS) return result_of(asked);
  if (result != NVML_SUCCESS) return static_cast<nvmlReturn_t>(result);
  const unsigned found = has_context != 0 ? 1 : 0;
  const bool has_room = *count >= found;
  *count = found;
  if (!has_room) return NVML_ERROR_INSUFFICIENT_SIZE;
  if (found != 0) fill(infos[0], used);
  return NVML_SUCCESS;
}

/// No process of a guest draws, and none uses MPS.
nvmlReturn_t list_none(nvmlDevice_t device, unsigned* count) {
  unsigned index = 0;
  if (!index_of(device, index) || count == nullptr) return NVML_ERROR_INVALID_ARGUMENT;
  *count = 0;
  return NVML_SUCCESS;
}

}  // namespace

// One question per value: a value that fails says so itself.
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int valuesCount, nvmlFieldValue_t* values) {
  unsigned index = 0;
  if (!index_of(device, index) || valuesCount < 0 || (valuesCount != 0 && values == nullptr))
    return NVML_ERROR_INVALID_ARGUMENT;
  for (int i = 0; i < valuesCount; ++i) {
    nvml::Question question(kFieldValues);
    question.ask_of(device);
    question.put_raw(&values[i], sizeof values[i]);
    const nvmlReturn_t asked = question.ask(Answered::anew);
    if (asked == NVML_SUCCESS) question.take(&values[i]);
    if (question.result() != NVML_SUCCESS) values[i].nvmlReturn = question.result();
    if (asked == NVML_ERROR_GPU_IS_LOST) return asked;
  }
  return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses(nvmlDevice_t device, unsigned* infoCount,
                                                  nvmlProcessInfo_v1_t* infos) {
  return list_own(device, infoCount, infos);
}
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned* infoCount,
                                                     nvmlProcessInfo_v2_t* infos) {
  return list_own(device, infoCount, infos);
}
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned* infoCount,
                                                     nvmlProcessInfo_t* infos) {
  return list_own(device, infoCount, infos);
}

nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses(nvmlDevice_t device, unsigned* infoCount, nvmlProcessInfo_v1_t*) {
  return list_none(device, infoCount);
}
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v2(nvmlDevice_t device, unsigned* infoCount, nvmlProcessInfo_v2_t*) {
  return list_none(device, infoCount);
}
nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned* infoCount, nvmlProcessInfo_t*) {
  return list_none(device, infoCount);
}
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses(nvmlDevice_t device, unsigned* infoCount, nvmlProcessInfo_v1_t*) {
  return list_none(device, infoCount);
}
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v2(nvmlDevice_t device, unsigned* infoCount,
                                                        nvmlProcessInfo_v2_t*) {
  return list_none(device, infoCount);
}
nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned* infoCount, nvmlProcessInfo_t*) {
  return list_none(device, infoCount);
}

}  // namespace vgpu::shim::nvml::calls
