// A fuzzer's bytes as records: operations by index in the generated table, handles from small pools, offsets and sizes
// near edges. tests/fuzz/make_seeds.py writes the same format.
#pragma once

#include <optional>
#include <vector>

#include "common/abi/window_layout.h"
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/records/shape.hpp"

namespace vgpu::fuzz {

inline constexpr size_t kHeapSize = VGPU_EXTENT_ALIGN;
inline constexpr size_t kWindowSize = VGPU_HEAP_OFFSET + kHeapSize;

struct Made {
  vgpu_record_header header{};
  std::vector<uint8_t> body;
  const Shape* shape = nullptr;  ///< null: a record that belongs to no row
};

/// Bytes for the heap, instead of a record.
struct Poke {
  uint64_t offset = 0;
  std::span<const uint8_t> bytes;
};

class RecordMaker {
 public:
  RecordMaker(Input& input, uintptr_t window) : input_(input), window_(window) {}

  /// The next record; `poke` is filled instead where the input says so. Nothing at the input's end.
  std::optional<Made> next(Poke& poke);

 private:
  Made make(const Shape& shape);
  Made make_raw();
  void spoil(Made& made);
  void put_field(const Field& field, std::vector<uint8_t>& body);
  uint64_t handle(wire::Kind kind);
  uint64_t plain(Values values);
  uint64_t place(uint8_t choice) const;
  void put_bytes(size_t cap, std::vector<uint8_t>& body);

  Input& input_;
  uintptr_t window_;
};

}  // namespace vgpu::fuzz
