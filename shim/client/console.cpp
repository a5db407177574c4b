// Text of device printf and assert: frames in a ring of the window, worker to guest.
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <vector>

#include "common/api/ops.gen.hpp"
#include "shim/client/channel.hpp"
#include "shim/client/thread_state.hpp"

namespace vgpu::shim {
namespace {

constexpr uint32_t kToStderr = 1u << 31;
constinit std::mutex g_console;
constinit uint32_t g_head = 0;  // bytes taken since the start

/// Copies out of the ring at a byte counter; the counters wrap at 2^32, which VGPU_CONSOLE_SIZE divides.
void copy_out(const Channel& channel, uint32_t counter, std::span<uint8_t> to) {
  const uint32_t at = counter % VGPU_CONSOLE_SIZE;
  const size_t first = std::min<size_t>(to.size(), VGPU_CONSOLE_SIZE - at);
  channel.window().copy_out(VGPU_CONSOLE_OFFSET + at, to.first(first));
  channel.window().copy_out(VGPU_CONSOLE_OFFSET, to.subspan(first));
}

/// Prints what lies between g_head and `tail`; true if the ring was so full that the worker may hold back more.
bool print_frames(Channel& channel, uint32_t tail) {
  const uint32_t pending = tail - g_head;
  std::vector<uint8_t> text;
  while (tail - g_head >= sizeof(uint32_t)) {
    uint32_t word = 0;
    copy_out(channel, g_head, {reinterpret_cast<uint8_t*>(&word), sizeof word});
    const uint32_t length = word & ~kToStderr;
    if (length > tail - g_head - sizeof word) break;  // not a frame: skip the rest
    text.resize(length);
    copy_out(channel, g_head + sizeof word, text);
    std::fwrite(text.data(), 1, length, (word & kToStderr) != 0 ? stderr : stdout);
    g_head += static_cast<uint32_t>(sizeof word) + length;
  }
  g_head = tail;
  // release: pairs with the worker's acquire load; the bytes are taken.
  channel.word(offsetof(vgpu_control, console_head)).store(g_head, std::memory_order_release);
  return pending > VGPU_CONSOLE_SIZE / 2;
}

}  // namespace

void drain_console(Channel& channel) {
  const auto tail_word = channel.word(offsetof(vgpu_control, console_tail));
  if (tail_word.load(std::memory_order_relaxed) ==
      channel.word(offsetof(vgpu_control, console_head)).load(std::memory_order_relaxed))
    return;
  const std::lock_guard lock(g_console);
  for (;;) {
    const uint32_t tail = tail_word.load(std::memory_order_acquire);
    if (tail == g_head || tail - g_head > VGPU_CONSOLE_SIZE) return;
    if (!print_frames(channel, tail)) return;
    Answer answer;
    uint8_t none[1];
    const uint32_t slot = slot_of(this_thread());
    if (channel.call(slot, static_cast<uint16_t>(api::Op::console_read), 0, {}, {}, std::span(none).first(0), answer) !=
        CUDA_SUCCESS)
      return;
  }
}

}  // namespace vgpu::shim
