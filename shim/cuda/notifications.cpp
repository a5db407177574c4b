// What a program may ask to be told of, and never is: the driver's log, and that memory gets short. A guest's log is
// empty: messages of the host's driver are not the guest's.
#include <fcntl.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "common/base/unique_fd.hpp"
#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

/// Handles of registered callbacks. Never destroyed: calls may come after static destructors.
class Registrations {
 public:
  uintptr_t add(CUdevice device) {
    const std::lock_guard lock(mutex_);
    known_.emplace_back(next_, device);
    return next_++ << 4;
  }
  bool remove(uintptr_t handle, CUdevice device) {
    const std::lock_guard lock(mutex_);
    return std::erase(known_, std::pair(handle >> 4, device)) != 0;
  }

 private:
  std::mutex mutex_;
  uintptr_t next_ = 1;
  std::vector<std::pair<uintptr_t, CUdevice>> known_;
};

Registrations& registrations() {
  static auto* const all = new Registrations;
  return *all;
}

/// Stands for the log in place of a device.
constexpr CUdevice kLog = -1;

CUresult check_device(CUdevice device) {
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  return is_device(device) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

}  // namespace

CUresult cuLogsRegisterCallback(CUlogsCallback callbackFunc, void*, CUlogsCallbackHandle* callback_out) {
  if (callbackFunc == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const uintptr_t handle = registrations().add(kLog);
  if (callback_out != nullptr) *callback_out = reinterpret_cast<CUlogsCallbackHandle>(handle);
  return CUDA_SUCCESS;
}
CUresult cuLogsUnregisterCallback(CUlogsCallbackHandle callback) {
  const bool known = registrations().remove(reinterpret_cast<uintptr_t>(callback), kLog);
  return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuLogsCurrent(CUlogIterator* iterator_out, unsigned) {
  if (iterator_out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *iterator_out = 0;
  return CUDA_SUCCESS;
}
CUresult cuLogsDumpToFile(CUlogIterator*, const char* pathToFile, unsigned flags) {
  if (pathToFile == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  const base::UniqueFd file(::open(pathToFile, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  return file.get() >= 0 ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
CUresult cuLogsDumpToMemory(CUlogIterator*, char* buffer, size_t* size, unsigned flags) {
  if (buffer == nullptr || size == nullptr || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (*size != 0) buffer[0] = '\0';
  *size = 0;
  return CUDA_SUCCESS;
}

CUresult cuDeviceRegisterAsyncNotification(CUdevice device, CUasyncCallback callbackFunc, void*,
                                           CUasyncCallbackHandle* callback) {
  if (const CUresult checked = check_device(device); checked != CUDA_SUCCESS) return checked;
  if (callbackFunc == nullptr || callback == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *callback = reinterpret_cast<CUasyncCallbackHandle>(registrations().add(device));
  return CUDA_SUCCESS;
}
CUresult cuDeviceUnregisterAsyncNotification(CUdevice device, CUasyncCallbackHandle callback) {
  if (const CUresult checked = check_device(device); checked != CUDA_SUCCESS) return checked;
  const bool known = registrations().remove(reinterpret_cast<uintptr_t>(callback), device);
  return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace vgpu::shim::calls
