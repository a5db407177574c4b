// One record on its way through the worker: whom it came from, and the answer in the making.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "common/abi/window_layout.h"
#include "common/api/cuda_types.hpp"
#include "common/wire/writer.hpp"

namespace vgpu::worker {

struct Row;

/// A call ends exactly once, by finish(); or its handler hands it to the dispatcher, which finishes it later.
class Call {
 public:
  Call() : reply_(std::span<uint8_t>(data_)) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// `number`: of the client's records, from 1, in the order of its ring.
  void begin(const vgpu_record_header& header, const Row* row, uint64_t number = 0) {
    header_ = header;
    number_ = number;
    row_ = row;
    result_ = cuda::CUDA_SUCCESS;
    state_ = State::open;
    tries_ = 0;
    direct_ = 0;
    reply_ = wire::Writer(std::span<uint8_t>(data_));
  }

  /// The answer. What reply() holds travels only with CUDA_SUCCESS.
  void finish(cuda::CUresult result) {
    result_ = result;
    state_ = State::finished;
  }
  /// The dispatcher keeps the call and finishes it later.
  void set_waiting() { state_ = State::waiting; }

  wire::Writer& reply() { return reply_; }
  const wire::Writer& reply() const { return reply_; }
  const vgpu_record_header& header() const { return header_; }
  const Row* row() const { return row_; }
  uint64_t number() const { return number_; }
  /// ns; only kept while records are traced.
  void set_taken_at(uint64_t now) { taken_at_ = now; }
  uint64_t taken_at() const { return taken_at_; }
  bool posted() const { return (header_.flags & VGPU_RECORD_POSTED) != 0; }
  bool waiting() const { return state_ == State::waiting; }
  cuda::CUresult result() const { return result_; }

  /// Bytes of the reply that the GPU writes into the slot itself, behind what reply() holds.
  void set_direct(uint32_t bytes) { direct_ = bytes; }
  uint32_t direct() const { return direct_; }

  /// Keeps the record for a later run (parked before it was executed).
  void keep_body(std::span<const uint8_t> body) { body_.assign(body.begin(), body.end()); }
  std::span<const uint8_t> body() const { return body_; }
  unsigned tries() const { return tries_; }
  void count_try() { ++tries_; }

 private:
  enum class State : uint8_t { open, finished, waiting };
  vgpu_record_header header_{};
  const Row* row_ = nullptr;
  uint64_t number_ = 0;
  uint64_t taken_at_ = 0;
  cuda::CUresult result_ = cuda::CUDA_SUCCESS;
  State state_ = State::open;
  unsigned tries_ = 0;
  uint32_t direct_ = 0;
  std::vector<uint8_t> body_;
  uint8_t data_[VGPU_SLOT_DATA];
  wire::Writer reply_;
};

}  // namespace vgpu::worker
