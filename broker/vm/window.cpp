#include "broker/vm/window.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <system_error>

#include "common/base/log.hpp"

namespace vgpu::broker::vm {
namespace {

using base::Error;
using base::UniqueFd;

// Linux 6.3: a window that nobody can execute. Not in the headers of Debian 12.
constexpr unsigned kNoExecSeal = 0x8;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Error os_error(const char* what) {
  const int code = errno;
  return {code, std::string("cannot create a window: ") + what + ": " + std::generic_category().message(code)};
}

UniqueFd create_memory() {
  UniqueFd memory(memfd_create("vgpu-window", MFD_CLOEXEC | MFD_ALLOW_SEALING | kNoExecSeal));
  if (memory || errno != EINVAL) return memory;
  return UniqueFd(memfd_create("vgpu-window", MFD_CLOEXEC | MFD_ALLOW_SEALING));
}

void wake(char* word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

}  // namespace

base::Result<Window> Window::create(std::uint64_t size) {
  Window window(create_memory(), size);
  if (!window.memory_) return os_error("memfd_create");
  if (ftruncate(window.descriptor(), static_cast<off_t>(size)) != 0) return os_error("setting its size");
  vgpu_control control{};
  control.magic = VGPU_WINDOW_MAGIC;
  control.layout = VGPU_WINDOW_LAYOUT;
  control.window_size = size;
  control.ring_offset = VGPU_RING_OFFSET;
  control.ring_size = VGPU_RING_SIZE;
  control.heap_offset = VGPU_HEAP_OFFSET;
  control.peer_status = VGPU_PEER_ALIVE;
  if (pwrite(window.descriptor(), &control, sizeof control, 0) != static_cast<ssize_t>(sizeof control))
    return os_error("writing the control page");
  if (fcntl(window.descriptor(), F_ADD_SEALS, kSeals) != 0) return os_error("sealing");
  return window;
}

base::Result<Window> Window::adopt(UniqueFd memory, std::uint64_t size) {
  struct stat status {};
  const int seals = fcntl(memory.get(), F_GET_SEALS);
  if (fstat(memory.get(), &status) != 0 || seals < 0 || (seals & kSeals) != kSeals ||
      static_cast<std::uint64_t>(status.st_size) != size)
    return Error{EINVAL, "it does not hold its window"};
  return Window(std::move(memory), size);
}

void Window::set_peer_status(vgpu_peer_status status) { write_word(offsetof(vgpu_control, peer_status), status); }
void Window::set_exit_class(std::uint32_t word) { write_word(offsetof(vgpu_control, exit_class), word); }

void Window::write_word(std::size_t offset, std::uint32_t value) {
  if (pwrite(memory_.get(), &value, sizeof value, static_cast<off_t>(offset)) != sizeof value)
    log::error("cannot write the control page of a window: {}", std::generic_category().message(errno));
}

void Window::wake_sleepers() {
  void* base = mmap(nullptr, VGPU_RING_OFFSET, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
  if (base == MAP_FAILED) return;  // they look again within a second
  auto* bytes = static_cast<char*>(base);
  for (const auto offset : {offsetof(vgpu_control, head), offsetof(vgpu_control, worker_state),
                            offsetof(vgpu_control, step_posted), offsetof(vgpu_control, completed)})
    wake(bytes + offset);
  for (unsigned slot = 0; slot < VGPU_SLOT_COUNT; ++slot)
    wake(bytes + VGPU_SLOTS_OFFSET + slot * VGPU_SLOT_SIZE + offsetof(vgpu_slot, sequence));
  munmap(base, VGPU_RING_OFFSET);
}

}  // namespace vgpu::broker::vm
