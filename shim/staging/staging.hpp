// Staging: the way of pageable memory to and from the device. Chunks of registered window memory, each with a word that
// the worker stores into once the stream has passed the copy. A thread owns the chunks it uses, so that a parked stream
// of another thread cannot starve it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/api/cuda_types.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

struct Chunk;
struct Context;

/// Belongs to one thread.
class Staging {
 public:
  Staging() = default;
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Bytes that fit into a chunk.
  static constexpr size_t kChunkData = (4u << 20) - 4096;

  /// A chunk that no copy uses; waits for the oldest one if all are on their way and no more can be had.
  CUresult acquire(Chunk*& chunk);
  /// Posts the mark behind the copy that was just posted on `stream`.
  CUresult mark(Chunk& chunk, CUstream stream);
  /// Waits until the chunk's mark has arrived.
  CUresult wait(Chunk& chunk);

  static uint64_t offset_of(const Chunk& chunk);
  static uint8_t* data_of(const Chunk& chunk);

 private:
  void give_back();

  static constexpr unsigned kMost = 4;
  Chunk* chunks_[kMost] = {};  // in the order of their last use
  unsigned count_ = 0;
  const Context* owner_ = nullptr;  // in which they are registered
};

/// The calling thread's.
Staging& this_thread_staging();

}  // namespace vgpu::shim
