// What is known of the attributes of launches and of kernel nodes: whether a value holds a handle.
#pragma once

#include "common/api/cuda_types.hpp"

namespace vgpu::worker::handlers {

/// Up to this one the values are known; what later drivers add may hold pointers.
inline constexpr unsigned kLastAttribute = 16;

/// The value begins with an event.
inline bool takes_event(unsigned attribute) {
  return attribute == cuda::CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT ||
         attribute == cuda::CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT;
}

/// The driver puts a handle of its own into the value.
inline bool hands_out_handle(unsigned attribute) {
  return attribute == cuda::CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE;
}

}  // namespace vgpu::worker::handlers
