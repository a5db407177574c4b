#include "common/shm/window.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace vgpu::shm {
namespace {

constexpr uintptr_t kAddressSpace = uintptr_t{1} << 47;  // that of a process

}  // namespace

Window::Window(Window&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      size_(other.size_.exchange(0)),
      first_(std::exchange(other.first_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Window& Window::operator=(Window&& other) noexcept {
  std::swap(base_, other.base_);
  size_ = other.size_.exchange(size_);
  std::swap(first_, other.first_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

Window::~Window() {
  if (base_ != nullptr) ::munmap(base_, capacity_);
}

base::Result<Window> Window::map_at(int fd, size_t size, uintptr_t address) {
  return map_at(fd, Place{0, size, size}, address);
}

base::Result<Window> Window::map_at(int fd, const Place& place, uintptr_t address) {
  const size_t capacity = std::max(place.capacity, place.size);
  if (place.size < VGPU_HEAP_OFFSET)
    return base::Error{EINVAL, fmt::format("a window of {} bytes is too small", place.size)};
  if (address < kLowestWindow)
    return base::Error{EINVAL, fmt::format("cannot map the window at {:#x}: too low", address)};
  if (capacity > kAddressSpace || address > kAddressSpace - capacity)  // so that ENOMEM below means a shortage
    return base::Error{EINVAL, fmt::format("cannot map the window at {:#x}: beyond the address space", address)};
  void* wanted = reinterpret_cast<void*>(address);
  void* got =
      ::mmap(wanted, capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (got == MAP_FAILED)
    return base::Error{errno, fmt::format("cannot map the window at {:#x}: {}", address, std::strerror(errno))};
  Window window(static_cast<uint8_t*>(got), 0, capacity);
  if (got != wanted)  // kernels before 4.17 take the flag for a hint
    return base::Error{EEXIST, fmt::format("cannot map the window at {:#x}: taken", address)};
  if (auto mapped = window.grow(fd, place.offset, place.size); !mapped) return mapped.error();
  window.first_ = place.size;
  return window;
}

base::Result<Window> Window::map(int fd, const Place& place) {
  base::Error last;
  for (const uintptr_t candidate : kWindowCandidates) {
    auto window = map_at(fd, place, candidate);
    if (window) return window;
    last = window.error();
  }
  return last.within("no address is free for the window");
}

base::Result<void> Window::grow(int fd, uint64_t offset, size_t size) {
  const size_t before = size_.load(std::memory_order_relaxed);
  if (size > capacity_ - before) return base::Error{EINVAL, "the window cannot grow beyond its capacity"};
  void* got = ::mmap(base_ + before, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd,
                     static_cast<off_t>(offset));
  if (got == MAP_FAILED)
    return base::Error{errno, fmt::format("cannot map {} bytes of the window at {}: {}", size,
                                          static_cast<void*>(base_ + before), std::strerror(errno))};
  size_.store(before + size, std::memory_order_release);
  return {};
}

base::Result<void> Window::shrink(size_t size) {
  const size_t before = size_.load(std::memory_order_relaxed);
  if (size > before - first_) return base::Error{EINVAL, "the window cannot shrink below its first size"};
  size_.store(before - size, std::memory_order_release);
  void* got =
      ::mmap(base_ + before - size, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (got == MAP_FAILED) return base::Error{errno, fmt::format("cannot unmap a piece: {}", std::strerror(errno))};
  return {};
}

bool Window::copy_out(uint64_t offset, std::span<uint8_t> to) const {
  if (!contains(offset, to.size())) return false;
  if (!to.empty()) std::memcpy(to.data(), base_ + offset, to.size());
  return true;
}

bool Window::copy_in(uint64_t offset, std::span<const uint8_t> from) const {
  if (!contains(offset, from.size())) return false;
  if (!from.empty()) std::memcpy(base_ + offset, from.data(), from.size());
  return true;
}

bool Window::offset_of(const void* address, uint64_t& offset) const {
  const auto at = reinterpret_cast<uintptr_t>(address);
  if (base_ == nullptr || at < base() || at - base() >= size()) return false;
  offset = at - base();
  return true;
}

}  // namespace vgpu::shm
