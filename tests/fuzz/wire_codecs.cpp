// The decoders of both sides, operation by operation: requests that a guest sends, replies that a shim gets. What
// decodes must encode to the same bytes. First byte: the row, and which of its two.
#include "tests/fuzz/input.hpp"
#include "tests/fuzz/records/shapes.gen.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vgpu::fuzz::Input input(data, size);
  const auto& shape = vgpu::fuzz::kShapes[input.byte() % std::size(vgpu::fuzz::kShapes)];
  const bool reply = input.byte() % 2 != 0;
  const auto bytes = input.rest();
  if (reply)
    shape.reply(bytes);
  else if (shape.request != nullptr)
    shape.request(bytes);
  return 0;
}
