// The handshake by which libcudart makes sure that it talks to a driver it knows.
#pragma once

#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

/// Slot 1 of the integrity table; writes 16 bytes to `result`.
CUresult integrity_check(uint32_t version, uint64_t unix_seconds, uint64_t* result);

/// Addresses that are part of the message.
struct IntegrityTables {
  const void* cudart_interface;
  const void* integrity;
};
IntegrityTables integrity_tables();

}  // namespace vgpu::shim
