// The fake driver's memory, and copies and fills in it.
#include "tests/fuzz/records/fake_state.hpp"

#include <algorithm>

namespace vgpu::fuzz {
namespace {

State& state = gpu_state();

bool inside(const std::map<uint64_t, uint64_t>& ranges, uint64_t address, uint64_t size) {
  auto next = ranges.upper_bound(address);
  if (next == ranges.begin()) return false;
  const auto& [base, length] = *--next;
  return address - base <= length && size <= length - (address - base);
}

bool is_window(uint64_t address) { return address >= state.window && address - state.window < state.window_size; }

}  // namespace

void check_device(uint64_t address, uint64_t size) {
  if (!inside(state.memory, address, size) && !inside(state.registered, address, size))
    found("device memory that is not the client's");
}

void touch_host(const void* host, uint64_t size, bool writes) {
  const auto address = reinterpret_cast<uint64_t>(host);
  if (size == 0) return;
  if (is_window(address)) {
    const uint64_t offset = address - state.window;
    const bool in_slots =
        offset >= VGPU_SLOTS_OFFSET && size <= VGPU_SLOT_DATA &&
        (offset - VGPU_SLOTS_OFFSET) / VGPU_SLOT_SIZE == (offset + size - 1 - VGPU_SLOTS_OFFSET) / VGPU_SLOT_SIZE &&
        offset + size <= VGPU_RING_OFFSET;
    if (!in_slots && !inside(state.registered, address, size)) found("window memory that is not registered");
  } else if (writes) {
    found("a copy to memory of the worker's own");
  }
  const uint64_t front = std::min<uint64_t>(size, 4096);
  auto* bytes = static_cast<uint8_t*>(const_cast<void*>(host));
  if (writes) {
    std::memset(bytes, 0x22, front);
    bytes[size - 1] = 0x22;
    return;
  }
  static volatile unsigned sum;
  for (uint64_t i = 0; i < front; ++i) sum = sum + bytes[i];
  sum = sum + bytes[size - 1];
}

namespace {

CUresult give_memory(CUdeviceptr* address, uint64_t size) {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  if (size == 0) return CUDA_ERROR_INVALID_VALUE;
  if (size > kDeviceStride || state.next_memory == 64) return CUDA_ERROR_OUT_OF_MEMORY;
  *address = kDeviceMemory + state.next_memory++ * kDeviceStride;
  state.memory[*address] = size;
  return CUDA_SUCCESS;
}
CUresult allocate(CUdeviceptr* address, size_t size) { return give_memory(address, size); }
CUresult allocate_pitch(CUdeviceptr* address, size_t* pitch, size_t width, size_t height, unsigned) {
  if (width > kDeviceStride || height > kDeviceStride) return CUDA_ERROR_OUT_OF_MEMORY;
  *pitch = (width + 511) / 512 * 512;
  return give_memory(address, *pitch * height);
}
CUresult allocate_async(CUdeviceptr* address, size_t size, CUstream) { return give_memory(address, size); }
CUresult allocate_from_pool(CUdeviceptr* address, size_t size, CUmemoryPool, CUstream) {
  return give_memory(address, size);
}
CUresult release(CUdeviceptr address) {
  const CUresult result = outcome();
  if (result != CUDA_SUCCESS) return result;
  if (state.memory.erase(address) == 0) found("free of what is not allocated");
  return CUDA_SUCCESS;
}
CUresult release_async(CUdeviceptr address, CUstream) { return release(address); }
CUresult give_global(CUdeviceptr* address, size_t* size) {
  *size = 4096;
  return give_memory(address, *size);
}
CUresult module_global(CUdeviceptr* address, size_t* size, CUmodule, const char*) { return give_global(address, size); }
CUresult library_global(CUdeviceptr* address, size_t* size, CUlibrary, const char*) {
  return give_global(address, size);
}
CUresult register_host(void* memory, size_t size, unsigned) {
  const CUresult result = outcome();
  const auto address = reinterpret_cast<uint64_t>(memory);
  if (!is_window(address) || size > state.window_size - (address - state.window))
    found("registration outside the window");
  if (result == CUDA_SUCCESS && address != state.window) state.registered[address] = size;
  return result;
}
CUresult unregister_host(void* memory) {
  const CUresult result = outcome();
  state.registered.erase(reinterpret_cast<uint64_t>(memory));
  return result;
}

CUresult copy_to_device(CUdeviceptr to, const void* from, size_t size, CUstream) {
  check_device(to, size);
  touch_host(from, size, false);
  return submitted();
}
CUresult copy_to_host(void* to, CUdeviceptr from, size_t size, CUstream) {
  check_device(from, size);
  touch_host(to, size, true);
  return submitted();
}
CUresult copy_on_device(CUdeviceptr to, CUdeviceptr from, size_t size, CUstream) {
  check_device(to, size);
  check_device(from, size);
  return submitted();
}
uint64_t rectangle(uint64_t pitch, uint64_t width, uint64_t height) {
  if (width == 0 || height == 0) return 0;
  uint64_t rows = 0, size = 0;
  if (__builtin_mul_overflow(pitch, height - 1, &rows) || __builtin_add_overflow(rows, width, &size))
    found("a rectangle that wraps");
  return size;
}
CUresult copy_2d(const CUDA_MEMCPY2D* what, CUstream) {
  const uint64_t from = rectangle(what->srcPitch, what->WidthInBytes, what->Height);
  const uint64_t to = rectangle(what->dstPitch, what->WidthInBytes, what->Height);
  if (what->srcMemoryType == CU_MEMORYTYPE_HOST)
    touch_host(what->srcHost, from, false);
  else
    check_device(what->srcDevice, from);
  if (what->dstMemoryType == CU_MEMORYTYPE_HOST)
    touch_host(what->dstHost, to, true);
  else
    check_device(what->dstDevice, to);
  return submitted();
}
template <typename T>
CUresult fill(CUdeviceptr to, T, size_t count, CUstream) {
  check_device(to, rectangle(0, count * sizeof(T), 1));
  return submitted();
}
template <typename T>
CUresult fill_2d(CUdeviceptr to, size_t pitch, T, size_t width, size_t height, CUstream) {
  check_device(to, rectangle(pitch, width * sizeof(T), height));
  return submitted();
}

}  // namespace

void set_memory(DriverTable& table) {
  table.cuMemAlloc_v2 = checked<allocate>;
  table.cuMemAllocPitch_v2 = checked<allocate_pitch>;
  table.cuMemAllocAsync = checked<allocate_async>;
  table.cuMemAllocFromPoolAsync = checked<allocate_from_pool>;
  table.cuMemFree_v2 = checked<release>;
  table.cuMemFreeAsync = checked<release_async>;
  table.cuModuleGetGlobal_v2 = checked<module_global>;
  table.cuLibraryGetGlobal = checked<library_global>;
  table.cuMemHostRegister_v2 = checked<register_host>;
  table.cuMemHostUnregister = checked<unregister_host>;
  table.cuMemcpyHtoDAsync_v2 = checked<copy_to_device>;
  table.cuMemcpyDtoHAsync_v2 = checked<copy_to_host>;
  table.cuMemcpyDtoDAsync_v2 = checked<copy_on_device>;
  table.cuMemcpy2DAsync_v2 = checked<copy_2d>;
  table.cuMemsetD8Async = checked<fill<unsigned char>>;
  table.cuMemsetD16Async = checked<fill<unsigned short>>;
  table.cuMemsetD32Async = checked<fill<unsigned>>;
  table.cuMemsetD2D8Async = checked<fill_2d<unsigned char>>;
  table.cuMemsetD2D16Async = checked<fill_2d<unsigned short>>;
  table.cuMemsetD2D32Async = checked<fill_2d<unsigned>>;
}

}  // namespace vgpu::fuzz
