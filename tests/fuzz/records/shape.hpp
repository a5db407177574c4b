// What a record of each operation is made of: the types of the generated table (shapes.gen.hpp).
#pragma once

#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "common/wire/handle.hpp"
#include "common/wire/reader.hpp"
#include "common/wire/writer.hpp"

namespace vgpu::fuzz {

enum class Type : uint8_t { u32, i32, u64, f32, handle, bytes, text, raw };

/// Which values are worth trying in a field of plain type.
enum class Values : uint8_t { small, offset, place, size };

struct Field {
  Type type;
  Values values;
  size_t cap;       ///< of bytes and text; the size of raw
  wire::Kind kind;  ///< of a handle
};

struct Shape {
  uint16_t number;
  const char* name;
  bool may_be_posted;
  bool needs_context;
  std::span<const Field> fields;
  bool (*request)(wire::Bytes);  ///< whether the bytes are such a record's body; null for forwarded calls
  bool (*reply)(wire::Bytes);    ///< whether they are its reply
};

/// Whether `bytes` are exactly one T. What was decoded must encode to the same bytes again.
template <typename T>
bool recode(wire::Bytes bytes) {
  wire::Reader in(bytes);
  T value;
  if (!value.decode(in)) return false;
  std::vector<uint8_t> again(bytes.size());
  wire::Writer out(again);
  value.encode(out);
  if (out.failed() || out.size() != bytes.size()) std::abort();
  if (!bytes.empty() && std::memcmp(again.data(), bytes.data(), bytes.size()) != 0) std::abort();
  return true;
}

template <size_t size>
bool has_size(wire::Bytes bytes) {
  return bytes.size() == size;
}

}  // namespace vgpu::fuzz
