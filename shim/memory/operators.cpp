// The shim's own operator new and delete, seen by nobody else (the version script hides them).
#include <cstddef>
#include <cstdlib>
#include <new>

#include "shim/client/memory_reserve.hpp"

namespace {

void* allocate_or_end(std::size_t size, std::size_t alignment) {
  void* memory = vgpu::shim::allocate(size, alignment);
  // Not even the reserve has room: nothing that could be answered is left to us.
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_end(size, alignof(std::max_align_t)); }
void* operator new[](std::size_t size) { return allocate_or_end(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_end(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_or_end(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return vgpu::shim::allocate(size, alignof(std::max_align_t));
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return vgpu::shim::allocate(size, alignof(std::max_align_t));
}
void operator delete(void* memory) noexcept { vgpu::shim::release(memory); }
void operator delete[](void* memory) noexcept { vgpu::shim::release(memory); }
void operator delete(void* memory, std::size_t) noexcept { vgpu::shim::release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { vgpu::shim::release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { vgpu::shim::release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { vgpu::shim::release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { vgpu::shim::release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { vgpu::shim::release(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { vgpu::shim::release(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { vgpu::shim::release(memory); }
