#include "tests/fuzz/records/fake_state.hpp"

namespace vgpu::fuzz {
namespace {

constexpr CUresult kErrors[] = {CUDA_ERROR_INVALID_VALUE,   CUDA_ERROR_OUT_OF_MEMORY,
                                CUDA_ERROR_INVALID_CONTEXT, CUDA_ERROR_NOT_READY,
                                CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
                                CUDA_ERROR_NOT_SUPPORTED,   CUDA_ERROR_CONTEXT_IS_DESTROYED};

// A function that has no meaning of its own: it writes something to whatever its pointers lead to.

template <typename T>
void give(T) {}
template <typename T>
requires(!std::is_const_v<T> && !std::is_void_v<T> && !std::is_function_v<T> &&
         requires { sizeof(T); }) void give(T* to) {
  if (to == nullptr) return;
  if constexpr (std::is_pointer_v<T>)
    *to = make_handle<T>();
  else if constexpr (std::is_arithmetic_v<T>)
    *to = static_cast<T>(gpu_state().behaviour.counts);
  else
    std::memset(static_cast<void*>(to), 0x11, sizeof *to);
}

template <typename Function>
struct Plain;
template <typename... Args>
struct Plain<CUresult(Args...)> {
  static CUresult call(Args... args) {
    (check_live(gpu_state().handles, args), ...);
    const CUresult result = outcome();
    if (result == CUDA_SUCCESS) (give(args), ...);
    return result;
  }
};

/// What a driver of an earlier release lacks.
void drop_missing(DriverTable& table, uint8_t missing) {
  if ((missing & 1) != 0) table.cuCtxRecordEvent = nullptr;
  if ((missing & 2) != 0) {
    table.cuMemHostRegister_v2 = nullptr;
    table.cuMemcpy2DAsync_v2 = nullptr;
    table.cuMemcpy3DAsync_v2 = nullptr;
    table.cuArray3DGetDescriptor_v2 = nullptr;
    table.cuMemsetD2D16Async = nullptr;
  }
  if ((missing & 4) != 0) {
    table.cuLaunchKernelEx = nullptr;
    table.cuOccupancyMaxActiveClusters = nullptr;
    table.cuEventElapsedTime_v2 = nullptr;
    table.cuEventRecordWithFlags = nullptr;
    table.cuDeviceGetUuid_v2 = nullptr;
  }
  if ((missing & 8) != 0) table.cuStreamGetCaptureInfo_v3 = nullptr;
  if ((missing & 16) != 0) {
    table.cuFuncGetParamInfo = nullptr;
    table.cuKernelGetParamInfo = nullptr;
    table.cuFuncGetName = nullptr;
    table.cuKernelGetName = nullptr;
    table.cuModuleEnumerateFunctions = nullptr;
    table.cuLibraryGetKernelCount = nullptr;
  }
  if ((missing & 32) != 0) {
    table.cuMemAllocAsync = nullptr;
    table.cuMemFreeAsync = nullptr;
    table.cuPointerGetAttribute = nullptr;
    table.cuMemPoolGetAttribute = nullptr;
    table.cuMemPoolSetAttribute = nullptr;
    table.cuDeviceGetMemPool = nullptr;
  }
  if ((missing & 64) != 0) {
    table.cuGraphCreate = nullptr;
    table.cuGraphInstantiateWithFlags = nullptr;
    table.cuGraphUpload = nullptr;
    table.cuGraphGetNodes = nullptr;
    table.cuStreamGetCaptureInfo = nullptr;
    table.cuLaunchHostFunc = nullptr;
  }
  if ((missing & 128) != 0) {
    table.cuLibraryLoadData = nullptr;
    table.cuLibraryGetModule = nullptr;
    table.cuLibraryGetGlobal = nullptr;
    table.cuKernelGetFunction = nullptr;
    table.cuCtxSetFlags = nullptr;
    table.cuStreamGetAttribute = nullptr;
    table.cuStreamSetAttribute = nullptr;
  }
}

}  // namespace

State& gpu_state() {
  static State one;
  return one;
}

void found(const char* what) {
  std::fprintf(stderr, "fake driver: %s\n", what);
  std::abort();
}

CUresult outcome() {
  const Behaviour& b = gpu_state().behaviour;
  const unsigned number = ++gpu_state().calls;
  const bool fails = b.first_failure != 0 && number >= b.first_failure && number - b.first_failure < b.failures;
  return fails ? kErrors[b.error % std::size(kErrors)] : CUDA_SUCCESS;
}

CUresult submitted() {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) gpu_state().unfinished = gpu_state().behaviour.busy;
  return result;
}

size_t some_count() {
  constexpr size_t kCounts[] = {0, 1, 3, 51, 101, 1000};
  return kCounts[gpu_state().behaviour.counts % std::size(kCounts)];
}

worker::DriverLibrary fresh_driver(const Behaviour& behaviour, uintptr_t window, size_t window_size) {
  State& state = gpu_state();
  state = State{};
  state.behaviour = behaviour;
  state.window = window;
  state.window_size = window_size;
  worker::DriverLibrary library;
  library.path = "fake";
  library.is_software = true;  // then NVML is asked of it too
  DriverTable& table = library.functions;
#define FUNCTION(name) table.name = &Plain<proto::name>::call;
#include "tests/fuzz/records/driver_functions.gen.inc"
#undef FUNCTION
  set_memory(table);
  set_work(table);
  set_captures(table);
  set_code(table);
  set_contexts(table);
  set_arrays(table);
  set_devices(table);
  drop_missing(table, behaviour.missing);
  return library;
}

}  // namespace vgpu::fuzz
