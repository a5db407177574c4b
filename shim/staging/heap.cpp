#include "shim/staging/heap.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "shim/client/asking.hpp"
#include "shim/client/channel.hpp"
#include "shim/client/diagnostics.hpp"
#include "shim/client/request.hpp"
#include "shim/client/waiting.hpp"

namespace vgpu::shim {
namespace {

using base::RangeAllocator;

// A channel grows by this much at least: each time costs a word with the broker.
constexpr uint64_t kGrowthStep = 32u << 20;
// The broker answers within a millisecond; one that is just being relaunched, within this.
constexpr uint64_t kGrowthTimeNs = 3'000'000'000;

struct Heap {
  explicit Heap(const Channel& channel)
      : free(VGPU_HEAP_OFFSET, channel.window().size() - VGPU_HEAP_OFFSET, VGPU_EXTENT_ALIGN) {}
  RangeAllocator free;
  std::vector<uint64_t> pieces;  // sizes of what was granted since the start, in order
};

constinit std::mutex g_heap_mutex;  // guards heap(), and the channel's growth
constinit Once g_full;

Heap* heap() {
  static Heap* made = nullptr;  // never destroyed
  if (made == nullptr && open_channel() != nullptr) made = new Heap(*open_channel());
  return made;
}

CUresult ask_for_piece(uint64_t size, api::ops::HeapGrowReply& reply) {
  return ask_until_answered<api::ops::HeapGrowReply>(api::ops::HeapGrow{size}, kGrowthTimeNs,
                                                     [&](const api::ops::HeapGrowReply& granted) { reply = granted; });
}

bool grow_by(Channel& channel, Heap& heap, uint64_t size) {
  api::ops::HeapGrowReply piece;
  if (ask_for_piece(size, piece) != CUDA_SUCCESS) return false;
  const uint64_t begin = channel.window().size();
  if (!channel.grow(piece.window_offset, piece.size)) {
    (void)call(api::ops::HeapShrink{piece.size});
    return false;
  }
  heap.free.extend(begin, piece.size);
  heap.pieces.push_back(piece.size);
  return true;
}

bool grow(Heap& heap, uint64_t size) {
  Channel* channel = open_channel();
  const uint64_t room = channel == nullptr ? 0 : channel->window().capacity() - channel->window().size();
  size = (size + VGPU_EXTENT_ALIGN - 1) & ~uint64_t{VGPU_EXTENT_ALIGN - 1};
  if (size > room) return false;
  const uint64_t plenty = std::min(std::max(size, kGrowthStep), room);
  return grow_by(*channel, heap, plenty) || (plenty != size && grow_by(*channel, heap, size));
}

// What is at the end and free goes back to the VM's other clients.
void shrink(Heap& heap) {
  Channel* channel = open_channel();
  while (channel != nullptr && !heap.pieces.empty()) {
    const uint64_t size = heap.pieces.back();
    const uint64_t end = channel->window().size();
    if (!heap.free.shrink(end - size, end)) return;
    heap.pieces.pop_back();
    // First unmapped here: nobody uses it any more when the host hears of it.
    if (!channel->shrink(size) || call(api::ops::HeapShrink{size}) != CUDA_SUCCESS) return;
  }
}

}  // namespace

uint64_t take_heap(uint64_t size) {
  if (size > ~uint64_t{0} - VGPU_EXTENT_ALIGN) return RangeAllocator::kNone;
  const std::lock_guard lock(g_heap_mutex);
  Heap* heap = shim::heap();
  if (heap == nullptr) return RangeAllocator::kNone;
  uint64_t offset = heap->free.allocate(size, VGPU_EXTENT_ALIGN);
  if (offset == RangeAllocator::kNone && grow(*heap, size)) offset = heap->free.allocate(size, VGPU_EXTENT_ALIGN);
  if (offset == RangeAllocator::kNone && g_full.first())
    say("the shared window has no room for %llu bytes of pinned memory or staging; its size is window_size of the "
        "broker's configuration, in a virtual machine window-size of the vgpu-stub device",
        static_cast<unsigned long long>(size));
  return offset;
}

void give_back_heap(uint64_t offset) {
  const std::lock_guard lock(g_heap_mutex);
  Heap* heap = shim::heap();
  if (heap == nullptr) return;
  // Before it is free again: the next owner's pages must not be taken away. A device's memory has no pages of ours.
  ::madvise(heap_address(offset), heap->free.size_at(offset), MADV_REMOVE);
  heap->free.release(offset);
  shrink(*heap);
}

uint8_t* heap_address(uint64_t offset) {
  const Channel* channel = open_channel();
  return channel == nullptr ? nullptr : static_cast<uint8_t*>(channel->window().bytes(offset, 0));
}

}  // namespace vgpu::shim
