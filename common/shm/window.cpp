#include "common/shm/window.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <utility>

namespace vgpu::shm {
namespace {

constexpr uintptr_t kAddressSpace = uintptr_t{1} << 47;  // that of a process

}  // namespace

Window::Window(Window&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Window& Window::operator=(Window&& other) noexcept {
  std::swap(base_, other.base_);
  std::swap(size_, other.size_);
  return *this;
}

Window::~Window() {
  if (base_ != nullptr) ::munmap(base_, size_);
}

base::Result<Window> Window::map_at(int fd, size_t size, uintptr_t address) {
  if (size < VGPU_HEAP_OFFSET) return base::Error{EINVAL, fmt::format("a window of {} bytes is too small", size)};
  if (address < kLowestWindow)
    return base::Error{EINVAL, fmt::format("cannot map the window at {:#x}: too low", address)};
  if (size > kAddressSpace || address > kAddressSpace - size)  // so that ENOMEM below means a shortage
    return base::Error{EINVAL, fmt::format("cannot map the window at {:#x}: beyond the address space", address)};
  void* wanted = reinterpret_cast<void*>(address);
  void* got = ::mmap(wanted, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, fd, 0);
  if (got == MAP_FAILED)
    return base::Error{errno, fmt::format("cannot map the window at {:#x}: {}", address, std::strerror(errno))};
  if (got != wanted) {  // kernels before 4.17 take the flag for a hint
    ::munmap(got, size);
    return base::Error{EEXIST, fmt::format("cannot map the window at {:#x}: taken", address)};
  }
  return Window(static_cast<uint8_t*>(got), size);
}

base::Result<Window> Window::map(int fd, size_t size) {
  base::Error last;
  for (const uintptr_t candidate : kWindowCandidates) {
    auto window = map_at(fd, size, candidate);
    if (window) return window;
    last = window.error();
  }
  return last.within("no address is free for the window");
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
  if (base_ == nullptr || at < base() || at - base() >= size_) return false;
  offset = at - base();
  return true;
}

}  // namespace vgpu::shm
