// Images of code as the worker and the software GPU read them: never past their end. First byte: how the image is
// reached, and whether its magic number is given.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "tests/fuzz/input.hpp"
#include "worker/code_scan.hpp"
#include "worker/sim/image/image.hpp"

namespace {

using namespace vgpu::sim;

constexpr uint32_t kMagics[] = {0xba55ed50, 0x464c457f, 0x466243b1};

/// A copy that ends where its allocation ends.
struct Image {
  size_t size;
  std::unique_ptr<uint8_t[]> bytes;

  Image(std::span<const uint8_t> from, uint8_t magic) : size(from.size()), bytes(new uint8_t[from.size()]) {
    if (size != 0) std::memcpy(bytes.get(), from.data(), size);
    if (magic < std::size(kMagics) && size >= 4) std::memcpy(bytes.get(), &kMagics[magic], 4);
  }
};

void check(const vgpu::base::Result<std::string>& text) {
  if (!text && text.error().code != image::invalid_image && text.error().code != image::no_binary_for_gpu) std::abort();
  if (text && (text.value().size() > image::max_text_bytes || text.value().find('\0') != std::string::npos))
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  vgpu::fuzz::Input input(data, size);
  const uint8_t magic = input.byte();
  const Image image(input.rest(), magic);
  (void)vgpu::worker::can_print({image.bytes.get(), image.size});
  check(image::read_image(std::as_bytes(std::span(image.bytes.get(), image.size))));
  return 0;
}
