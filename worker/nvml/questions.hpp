// What the generated half of NVML's table is made of: one function per question that decodes, asks and encodes.
#pragma once

#include <algorithm>
#include <cstring>
#include <string_view>

#include "common/wire/reader.hpp"
#include "common/wire/writer.hpp"
#include "worker/nvml/library.hpp"

namespace vgpu::worker::nvml {

/// Arguments that no shim of ours sends.
constexpr auto kMalformed = static_cast<nvmlReturn_t>(-1);

constexpr size_t kTextRoom = 400;
constexpr size_t kMostText = 255;  // that travel; the longest text of NVML's has 96

/// A place for an answer. A newer library that writes more than we know of a type finds room for it.
template <typename T>
struct Roomy {
  T value{};
  uint64_t more[32] = {};
};

inline void put_text(wire::Writer& out, const char* text) { out.text({text, std::min(std::strlen(text), kMostText)}); }

struct Question {
  uint32_t number;
  const char* name;
  bool is_of_device;
  /// Fills `out` only with NVML_SUCCESS. `device` is null unless the question is one of a device.
  nvmlReturn_t (*ask)(Library& library, nvmlDevice_t device, wire::Reader& in, wire::Writer& out);
};

/// Null if the number is none, or that of a question which is asked by hand.
const Question* find_question(uint32_t number);

}  // namespace vgpu::worker::nvml
