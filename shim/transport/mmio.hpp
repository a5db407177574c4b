// Registers of a device, mapped: every access is one aligned 32-bit load or store, made as often as it is written here
// and in that order. Registers and processors that we know are little-endian.
#pragma once

#include <cstdint>

namespace vgpu::shim::transport {

inline uint32_t load_register(const void* at) {
  return __atomic_load_n(static_cast<const volatile uint32_t*>(at), __ATOMIC_RELAXED);
}
/// Threads may ring a doorbell at the same time.
inline void store_register(void* at, uint32_t value) {
  __atomic_store_n(static_cast<volatile uint32_t*>(at), value, __ATOMIC_RELAXED);
}

}  // namespace vgpu::shim::transport
