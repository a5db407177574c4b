// Between the guest's two libraries: what libcuda.so.1 gives to libnvidia-ml.so.1 through cuGetExportTable. They come
// in one package, but a program may load copies of different age: sizes and versions are compared, fields only
// appended.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vgpu::shim::nvml {

inline constexpr uint8_t kBridgeId[16] = {0x0d, 0x9a, 0x51, 0x7c, 0x42, 0xc8, 0x4d, 0x0b,
                                          0xa5, 0x3e, 0x76, 0x67, 0x70, 0x75, 0x6e, 0x6d};
inline constexpr uint32_t kBridgeVersion = 1;

/// Results of the functions are CUDA's: whether the worker could be asked. What it answered is in the results of NVML.
struct Bridge {
  size_t size;  ///< of this structure
  uint32_t version;

  /// Connects if need be, and starts NVML there.
  int (*open)(uint32_t* result, uint32_t* device_count);
  /// `answer_size`: in, the room; out, what was written.
  int (*query)(uint32_t question, uint32_t device, const void* arguments, size_t arguments_size, void* answer,
               size_t* answer_size, uint32_t* result);
  /// Whether this process has a context on the device, and how much memory it holds there.
  int (*process)(uint32_t device, uint32_t* result, uint32_t* has_context, uint64_t* used_memory);
  /// As cuDriverGetVersion.
  int (*driver_version)();
};

}  // namespace vgpu::shim::nvml
