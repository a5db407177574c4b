// Code images as programs hand them over: a bare pointer.
#pragma once

#include "common/wire/image_size.hpp"

namespace vgpu::shim {

using wire::image_size;
using wire::kMaxImage;
using wire::kUnknownEnd;

/// The fatbin that a wrapper points to; `image` itself if it is no wrapper. Null if the wrapper is of an unknown
/// version.
const void* unwrap_image(const void* image);

}  // namespace vgpu::shim
