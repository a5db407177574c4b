#include "worker/session.hpp"

#include <cstddef>

#include "common/base/log.hpp"

namespace vgpu::worker {

bool is_sticky(CUresult result) {
  switch (result) {
    case CUDA_ERROR_ECC_UNCORRECTABLE:
    case CUDA_ERROR_NVLINK_UNCORRECTABLE:
    case CUDA_ERROR_CONTAINED:
    case CUDA_ERROR_ILLEGAL_ADDRESS:
    case CUDA_ERROR_LAUNCH_TIMEOUT:
    case CUDA_ERROR_ASSERT:
    case CUDA_ERROR_HARDWARE_STACK_ERROR:
    case CUDA_ERROR_ILLEGAL_INSTRUCTION:
    case CUDA_ERROR_MISALIGNED_ADDRESS:
    case CUDA_ERROR_INVALID_ADDRESS_SPACE:
    case CUDA_ERROR_INVALID_PC:
    case CUDA_ERROR_LAUNCH_FAILED:
    case CUDA_ERROR_TENSOR_MEMORY_LEAK:
    case CUDA_ERROR_MPS_CLIENT_TERMINATED:
    case CUDA_ERROR_EXTERNAL_DEVICE:
      return true;
    default:
      return false;
  }
}

Session::Session(shm::Window window, DriverLibrary driver, Doorbell doorbell, shm::GrantReader grant)
    : window_(std::move(window)),
      driver_(std::move(driver)),
      contexts_(driver_.functions),
      links_(driver_.functions),
      console_(window_),
      host_steps_(window_),
      nvml_(driver_),
      dispatcher_(*this, window_, std::move(doorbell), std::move(grant)) {}

CUresult Session::enter(uint64_t context) {
  const CUresult result = contexts_.make_current(context);
  current_context_ = result == CUDA_SUCCESS ? contexts_.find(context) : nullptr;
  return result;
}

void Session::tell(const std::string& text, CUresult error) {
  if (tell_) tell_(text, error);
}

CUresult Session::violation(const char* what) {
  if (end_ == End::running) tell(fmt::format("the client broke the protocol: {}; it is cut off", what), CUDA_SUCCESS);
  set_end(End::violation);
  return CUDA_ERROR_UNKNOWN;
}

void Session::observe(CUresult result) {
  if (!is_sticky(result) || sticky_ != CUDA_SUCCESS) return;
  sticky_ = result;
  tell("the client's GPU work failed; it can only end", result);
  // What a failed assertion says comes out of the driver with a synchronising call only; it is instant now.
  if (needs_real_waits_ && driver_.functions.cuCtxSynchronize != nullptr) driver_.functions.cuCtxSynchronize();
  console_.collect();
  // release: the console text that explains the error is there before the error is.
  window_.word32(offsetof(vgpu_control, sticky_error)).store(static_cast<uint32_t>(result), std::memory_order_release);
  set_end(End::gpu_fault);
}

void Session::connect_broker(int control, int memory) {
  mail_ = std::make_unique<BrokerMail>(control);
  shares_ = std::make_unique<Shares>(*mail_);
  if (memory >= 0) growth_ = std::make_unique<ChannelGrowth>(*mail_, memory, window_);
}

void Session::register_control_area() {
  if (control_registered_by_ != 0) return;
  void* area = window_.bytes(0, VGPU_HEAP_OFFSET);
  const CUresult result = driver_.functions.cuMemHostRegister_v2 == nullptr
                              ? CUDA_ERROR_NOT_SUPPORTED
                              : driver_.functions.cuMemHostRegister_v2(
                                    area, VGPU_HEAP_OFFSET, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
  if (result != CUDA_SUCCESS)
    tell("the control area cannot be registered with the driver: small copies take the slow path", result);
  control_registered_by_ = contexts_.current();
}

void Session::forget_control_area(uint64_t context) {
  if (control_registered_by_ == context) control_registered_by_ = 0;
}

End Session::serve() {
  dispatcher_.run();
  return end_;
}

}  // namespace vgpu::worker
