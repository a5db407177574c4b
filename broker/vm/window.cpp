#include "broker/vm/window.hpp"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <system_error>

#include "broker/vm/shared_memory.hpp"
#include "common/base/log.hpp"

namespace vgpu::broker::vm {
namespace {

void wake(char* word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0); }

}  // namespace

base::Result<Window> Window::create(std::uint64_t size, std::uint64_t client) {
  auto memory = create_shared_memory(size);
  if (!memory) return memory.error();
  return place(std::move(*memory), 0, size, client);
}

base::Result<Window> Window::place(base::UniqueFd memory, std::uint64_t offset, std::uint64_t size,
                                   std::uint64_t client) {
  vgpu_control control{};
  control.magic = VGPU_WINDOW_MAGIC;
  control.layout = VGPU_WINDOW_LAYOUT;
  control.window_size = size;
  control.ring_offset = VGPU_RING_OFFSET;
  control.ring_size = VGPU_RING_SIZE;
  control.heap_offset = VGPU_HEAP_OFFSET;
  control.client = client;
  control.peer_status = VGPU_PEER_ALIVE;
  if (pwrite(memory.get(), &control, sizeof control, static_cast<off_t>(offset)) !=
      static_cast<ssize_t>(sizeof control))
    return base::Error{errno, "cannot write a control page: " + std::generic_category().message(errno)};
  return Window(std::move(memory), offset, size);
}

void Window::set_peer_status(vgpu_peer_status status) { write_word(offsetof(vgpu_control, peer_status), status); }
void Window::set_exit_class(std::uint32_t word) { write_word(offsetof(vgpu_control, exit_class), word); }

void Window::write_word(std::size_t offset, std::uint32_t value) {
  if (pwrite(memory_.get(), &value, sizeof value, static_cast<off_t>(offset_ + offset)) != sizeof value)
    log::error("cannot write the control page of a window: {}", std::generic_category().message(errno));
}

void Window::wake_sleepers() {
  void* base =
      mmap(nullptr, VGPU_RING_OFFSET, PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), static_cast<off_t>(offset_));
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
