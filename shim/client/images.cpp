#include "shim/client/images.hpp"

#include <cstring>

namespace vgpu::shim {
namespace {

constexpr uint32_t kWrapperMagic = 0x466243b1;

struct Wrapper {
  uint32_t magic;
  uint32_t version;
  const void* data;
  const void* more;  // version 1: a file name; version 2: pre-linked fatbins
};

/// Compares byte by byte, up to the first that differs: a short text may end where memory ends.
bool is_wrapper(const uint8_t* image) {
  for (unsigned place = 0; place < sizeof kWrapperMagic; ++place)
    if (image[place] != static_cast<uint8_t>(kWrapperMagic >> (8 * place))) return false;
  return true;
}

}  // namespace

const void* unwrap_image(const void* image) {
  if (!is_wrapper(static_cast<const uint8_t*>(image))) return image;
  Wrapper wrapper;
  std::memcpy(&wrapper, image, sizeof wrapper);
  return wrapper.version == 1 || wrapper.version == 2 ? wrapper.data : nullptr;
}

}  // namespace vgpu::shim
