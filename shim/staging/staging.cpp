#include "shim/staging/staging.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "shim/client/channel.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/request.hpp"
#include "shim/client/thread_state.hpp"
#include "shim/staging/extents.hpp"
#include "shim/staging/heap.hpp"

namespace vgpu::shim {

struct Chunk {
  Extent* extent = nullptr;
  uint32_t value = 0;  // the last one posted; equal to the word when the chunk is free
};

namespace {

constinit std::mutex g_idle_mutex;
std::vector<Chunk*>& idle_chunks() {  // that threads gave back; their marks may still be on their way
  static auto* const all = new std::vector<Chunk*>;
  return *all;
}

uint64_t word_of(const Chunk& chunk) { return chunk.extent->offset + chunk.extent->size - 64; }

bool has_arrived(const Chunk& chunk) {
  const Channel* channel = open_channel();
  return channel != nullptr && channel->word(word_of(chunk)).load(std::memory_order_acquire) == chunk.value;
}

/// One that is registered in this context, or in none.
Chunk* take_idle(const Context* owner) {
  const auto fits = [&](const Chunk* chunk) {
    return has_arrived(*chunk) &&
           (is_open_in(*chunk->extent, owner) || !chunk->extent->open.load(std::memory_order_acquire));
  };
  const std::lock_guard lock(g_idle_mutex);
  auto& idle = idle_chunks();
  const auto found = std::find_if(idle.begin(), idle.end(), fits);
  if (found == idle.end()) return nullptr;
  Chunk* chunk = *found;
  idle.erase(found);
  return chunk;
}

CUresult make_chunk(const Context* owner, Chunk*& chunk) {
  chunk = take_idle(owner);
  if (chunk != nullptr) return reopen_extent(*chunk->extent);
  Extent* extent = nullptr;
  if (const CUresult result = open_extent(Staging::kChunkData, extent); result != CUDA_SUCCESS) return result;
  chunk = new Chunk{extent, 0};
  Channel* channel = open_channel();
  if (channel != nullptr) channel->word(word_of(*chunk)).store(0, std::memory_order_relaxed);
  return CUDA_SUCCESS;
}

}  // namespace

Staging::~Staging() { give_back(); }

void Staging::give_back() {
  const std::lock_guard lock(g_idle_mutex);
  idle_chunks().insert(idle_chunks().end(), chunks_, chunks_ + count_);
  count_ = 0;
}

uint64_t Staging::offset_of(const Chunk& chunk) { return chunk.extent->offset; }
uint8_t* Staging::data_of(const Chunk& chunk) { return heap_address(chunk.extent->offset); }

CUresult Staging::acquire(Chunk*& chunk) {
  // What another context registered may go with it at any time.
  const Context* owner = memory_owner();
  if (owner != owner_) give_back();
  owner_ = owner;
  unsigned index = 0;
  while (index < count_ && !has_arrived(*chunks_[index])) ++index;
  if (index == count_ && count_ < kMost) {
    Chunk* made = nullptr;
    const CUresult result = make_chunk(owner, made);
    if (made != nullptr) chunks_[count_++] = made;
    if (result != CUDA_SUCCESS && (result != CUDA_ERROR_OUT_OF_MEMORY || count_ == 0)) return result;
  }
  if (index == count_) {
    index = 0;
    if (const CUresult result = wait(*chunks_[0]); result != CUDA_SUCCESS) return result;
  }
  chunk = chunks_[index];
  std::rotate(chunks_ + index, chunks_ + index + 1, chunks_ + count_);
  return reopen_extent(*chunk->extent);
}

CUresult Staging::mark(Chunk& chunk, CUstream stream) {
  ++chunk.value;
  Request request(api::Op::staging_mark, true);
  request.body().put(word_of(chunk));
  request.body().put(chunk.value);
  request.put(stream);
  return request.post();
}

CUresult Staging::wait(Chunk& chunk) {
  Channel* channel = open_channel();
  if (channel == nullptr) return CUDA_ERROR_NOT_INITIALIZED;
  // A mark that the worker had to refuse never arrives: the deferred error says so.
  return channel->wait_for_word(word_of(chunk), chunk.value, &surface_deferred);
}

Staging& this_thread_staging() {
  ThreadState& thread = this_thread();
  if (thread.staging == nullptr) thread.staging.reset(new Staging);
  return *thread.staging;
}

}  // namespace vgpu::shim
