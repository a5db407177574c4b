// The worker's end of the ring against a guest that writes anything: words of the control page, records, changes
// between two reads.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "common/ring/consumer.hpp"

namespace {

constexpr size_t kSize = VGPU_HEAP_OFFSET + VGPU_EXTENT_ALIGN;

const vgpu::shm::Window& window() {
  static const auto* const mapped = [] {
    const int fd = ::memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || ::ftruncate(fd, kSize) != 0) std::abort();
    auto result = vgpu::shm::Window::map(fd, kSize);
    if (!result) std::abort();
    return new vgpu::shm::Window(std::move(*result));
  }();
  return *mapped;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Input: steps of {tail, where in the ring, how many bytes} and the bytes.
  window().word64(offsetof(vgpu_control, tail)).store(0);
  window().word64(offsetof(vgpu_control, head)).store(0);
  vgpu::ring::Consumer consumer(window());
  while (size >= 16) {
    uint64_t tail = 0;
    uint32_t where = 0;
    uint16_t count = 0;
    std::memcpy(&tail, data, sizeof tail);
    std::memcpy(&where, data + 8, sizeof where);
    std::memcpy(&count, data + 12, sizeof count);
    data += 16;
    size -= 16;
    const size_t length = count < size ? count : size;
    where %= VGPU_RING_SIZE;
    const size_t fits = length < VGPU_RING_SIZE - where ? length : VGPU_RING_SIZE - where;
    window().copy_in(VGPU_RING_OFFSET + where, {data, fits});
    data += length;
    size -= length;
    window().word64(offsetof(vgpu_control, tail)).store(tail);
    vgpu::ring::Record record;
    uint64_t before = consumer.position();
    while (consumer.next(record) == vgpu::ring::Next::record) {
      if (record.body.size() > VGPU_RECORD_MAX - sizeof record.header || consumer.position() <= before) std::abort();
      before = consumer.position();
    }
    if (consumer.problem() != nullptr) return 0;
  }
  return 0;
}
