// A window of this process alone, with both ends of its ring.
#pragma once

#include <sys/mman.h>

#include <stdexcept>

#include "common/base/unique_fd.hpp"
#include "common/ring/consumer.hpp"
#include "common/ring/producer.hpp"

inline vgpu::shm::Window make_window() {
  constexpr size_t kSize = VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN;
  const vgpu::base::UniqueFd fd(::memfd_create("ring-test", MFD_CLOEXEC));
  if (!fd || ::ftruncate(fd.get(), kSize) != 0) throw std::runtime_error("no memory for a window");
  // ThreadSanitizer lets programs map there. Tests hold several windows at a time.
  static uintptr_t next = 0x7ea000000000;
  auto window = vgpu::shm::Window::map_at(fd.get(), kSize, next);
  next += 2 * kSize;
  if (!window) throw std::runtime_error(window.error().text);
  return std::move(*window);
}

struct Ring {
  vgpu::shm::Window window = make_window();
  vgpu::ring::Producer producer{window};
  vgpu::ring::Consumer consumer{window};

  std::atomic_ref<uint64_t> tail() const { return window.word64(offsetof(vgpu_control, tail)); }
  std::atomic_ref<uint64_t> head() const { return window.word64(offsetof(vgpu_control, head)); }
};

/// A body whose bytes tell which record it belongs to.
inline std::vector<uint8_t> body_of(uint32_t number, size_t size) {
  std::vector<uint8_t> body(size);
  for (size_t i = 0; i < size; ++i) body[i] = static_cast<uint8_t>(number * 31 + i);
  return body;
}
