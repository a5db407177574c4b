// Texture fetches, surface loads and stores.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "worker/sim/exec/block.hpp"
#include "worker/sim/exec/half.hpp"
#include "worker/sim/exec/lanes.hpp"
#include "worker/sim/exec/select.hpp"

namespace vgpu::sim::exec {
namespace {

using namespace vgpu::cuda;
using ptx::Geometry;
using ptx::Instruction;
using ptx::LaneMask;
using ptx::Op;
using ptx::Type;

constexpr std::uint32_t kMostChannels = 4;

/// The channels of an element, or of what was made of several: numbers, or bit patterns of integers.
struct Color {
  float real[kMostChannels] = {};
  std::uint32_t bits[kMostChannels] = {};
  bool is_integer = false;
};

std::uint32_t dimensions_of(Geometry geometry) {
  switch (geometry) {
    case Geometry::d1:
    case Geometry::a1d:
      return 1;
    case Geometry::d2:
    case Geometry::a2d:
      return 2;
    default:
      return 3;
  }
}
bool is_layered(Geometry geometry) { return geometry == Geometry::a1d || geometry == Geometry::a2d; }

/// A channel as a number: as it is, or of small integers as a part of the largest.
float as_real(unsigned format, std::uint32_t bits) {
  switch (format) {
    case CU_AD_FORMAT_FLOAT:
      return std::bit_cast<float>(bits);
    case CU_AD_FORMAT_HALF:
      return static_cast<float>(widen(static_cast<std::uint16_t>(bits), half_format));
    case CU_AD_FORMAT_UNSIGNED_INT8:
      return static_cast<float>(bits) / 255.0F;
    case CU_AD_FORMAT_UNSIGNED_INT16:
      return static_cast<float>(bits) / 65535.0F;
    case CU_AD_FORMAT_SIGNED_INT8:
      return std::max(static_cast<float>(static_cast<std::int8_t>(bits)) / 127.0F, -1.0F);
    default:
      return std::max(static_cast<float>(static_cast<std::int16_t>(bits)) / 32767.0F, -1.0F);
  }
}

bool is_signed(unsigned format) {
  return format == CU_AD_FORMAT_SIGNED_INT8 || format == CU_AD_FORMAT_SIGNED_INT16 ||
         format == CU_AD_FORMAT_SIGNED_INT32;
}

bool reads_integers(const Texture& texture) {
  switch (texture.levels.front().format) {
    case CU_AD_FORMAT_FLOAT:
    case CU_AD_FORMAT_HALF:
      return false;
    case CU_AD_FORMAT_UNSIGNED_INT32:
    case CU_AD_FORMAT_SIGNED_INT32:
      return true;
    default:
      return (texture.how.flags & CU_TRSF_READ_AS_INTEGER) != 0;
  }
}

/// The texture fetches of one lane.
class Fetch {
 public:
  Fetch(Warp& warp, std::uint32_t lane, const Texture& texture, const Texels& level, std::uint32_t dimensions,
        bool layered)
      : warp_(warp), lane_(lane), texture_(texture), level_(level), dimensions_(dimensions), layered_(layered) {}

  Color at_integers(const std::int32_t (&place)[3], std::uint32_t layer) { return element(place, layer); }
  Color at_reals(const float (&place)[3], std::uint32_t layer);

 private:
  bool is_normalized() const { return (texture_.how.flags & CU_TRSF_NORMALIZED_COORDINATES) != 0; }
  std::int64_t extent(std::uint32_t dimension) const {
    return dimension == 0 ? level_.width : dimension == 1 ? level_.height : level_.depth;
  }
  /// Where the element is that the address mode puts in this one's place; -1 for the border.
  std::int64_t address(std::int64_t index, std::uint32_t dimension) const;
  Color element(const std::int32_t (&place)[3], std::uint32_t layer);
  Color border() const;
  Color load(std::uint32_t x, std::uint32_t y, std::uint32_t z);

  Warp& warp_;
  const std::uint32_t lane_;
  const Texture& texture_;
  const Texels& level_;
  const std::uint32_t dimensions_;
  const bool layered_;
};

std::int64_t Fetch::address(std::int64_t index, std::uint32_t dimension) const {
  const std::int64_t size = extent(dimension);
  if (index >= 0 && index < size) return index;
  unsigned mode = texture_.how.addressMode[dimension];
  // Coordinates in elements are only cut off.
  if (!is_normalized() && mode != CU_TR_ADDRESS_MODE_BORDER) mode = CU_TR_ADDRESS_MODE_CLAMP;
  if (texture_.linear || mode == CU_TR_ADDRESS_MODE_BORDER) return -1;
  if (mode == CU_TR_ADDRESS_MODE_CLAMP) return std::clamp<std::int64_t>(index, 0, size - 1);
  const std::int64_t period = mode == CU_TR_ADDRESS_MODE_WRAP ? size : 2 * size;
  const std::int64_t inside = ((index % period) + period) % period;
  return inside < size ? inside : period - 1 - inside;
}

Color Fetch::border() const {
  Color color;
  color.is_integer = reads_integers(texture_);
  for (std::uint32_t k = 0; k < kMostChannels && !texture_.linear; ++k) {
    color.real[k] = texture_.how.borderColor[k];
    color.bits[k] = std::bit_cast<std::uint32_t>(texture_.how.borderColor[k]);
  }
  return color;
}

Color Fetch::load(std::uint32_t x, std::uint32_t y, std::uint32_t z) {
  Color color;
  color.is_integer = reads_integers(texture_);
  color.real[3] = 1;
  const std::byte* from = warp_.resolve(lane_, level_.at(x, y, z), level_.element, ptx::Space::global);
  if (from == nullptr) return color;
  const std::uint32_t size = level_.element / level_.channels;
  for (std::uint32_t k = 0; k < level_.channels; ++k) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, from + k * size, size);
    if (!color.is_integer) color.real[k] = as_real(level_.format, bits);
    if (is_signed(level_.format) && size < 4) {
      const std::uint32_t shift = 32 - 8 * size;
      bits = static_cast<std::uint32_t>(static_cast<std::int32_t>(bits << shift) >> shift);
    }
    color.bits[k] = bits;
  }
  return color;
}

Color Fetch::element(const std::int32_t (&place)[3], std::uint32_t layer) {
  std::uint32_t at[3] = {};
  for (std::uint32_t k = 0; k < dimensions_; ++k) {
    const std::int64_t found = address(place[k], k);
    if (found < 0) return border();
    at[k] = static_cast<std::uint32_t>(found);
  }
  if (layered_) at[2] = std::min(layer, level_.depth - 1);
  return load(at[0], at[1], at[2]);
}

Color Fetch::at_reals(const float (&place)[3], std::uint32_t layer) {
  const bool filters = texture_.how.filterMode == CU_TR_FILTER_MODE_LINEAR && !reads_integers(texture_);
  std::int32_t low[3] = {};
  float part[3] = {};
  constexpr float kFar = 1 << 30;
  for (std::uint32_t k = 0; k < dimensions_; ++k) {
    float x = is_normalized() ? place[k] * static_cast<float>(extent(k)) : place[k];
    if (filters) x -= 0.5F;
    const float below = std::floor(std::isnan(x) ? 0 : std::clamp(x, -kFar, kFar));
    low[k] = static_cast<std::int32_t>(below);
    // Eight bits of fraction, as the hardware has.
    part[k] = filters ? std::round((x - below) * 256) / 256 : 0;
  }
  if (!filters) return element(low, layer);
  Color sum;
  for (std::uint32_t corner = 0; corner < 1U << dimensions_; ++corner) {
    std::int32_t at[3] = {};
    float weight = 1;
    for (std::uint32_t k = 0; k < dimensions_; ++k) {
      const bool upper = (corner >> k & 1) != 0;
      at[k] = low[k] + (upper ? 1 : 0);
      weight *= upper ? part[k] : 1 - part[k];
    }
    if (weight == 0) continue;
    const Color one = element(at, layer);
    for (std::uint32_t k = 0; k < kMostChannels; ++k) sum.real[k] += weight * one.real[k];
  }
  return sum;
}

const Texels& level_of(const Texture& texture, float level) {
  const auto last = static_cast<float>(texture.levels.size() - 1);
  const float biased = std::clamp(level + texture.how.mipmapLevelBias, texture.how.minMipmapLevelClamp,
                                  std::max(texture.how.minMipmapLevelClamp, texture.how.maxMipmapLevelClamp));
  return texture.levels[static_cast<std::size_t>(std::clamp(std::floor(biased + 0.5F), 0.0F, last))];
}

void fetch(Warp& warp, const Instruction& in, LaneMask mask) {
  const Textures* textures = warp.block().running().machine.textures;
  const std::uint64_t* objects = warp.read(in.src[0]);
  const std::uint64_t* places[4];
  for (std::uint32_t k = 0; k < 4; ++k) places[k] = warp.read(in.src[k + 1]);
  const std::uint64_t* levels = warp.read(in.src[5]);
  LaneValues out[kMostChannels];
  const std::uint32_t dimensions = dimensions_of(in.geometry);
  const bool layered = is_layered(in.geometry);
  for_lanes(mask, [&](std::uint32_t i) {
    const auto texture = textures != nullptr ? textures->textures.find(objects[i]) : nullptr;
    if (texture == nullptr) return warp.raise(FaultCode::launch_failed, "a fetch from what is no texture");
    const float level = !in.has_level          ? 0
                        : in.from == Type::f32 ? get<float>(levels[i])
                                               : static_cast<float>(static_cast<std::int32_t>(levels[i]));
    Fetch one(warp, i, *texture, level_of(*texture, level), dimensions, layered);
    const auto layer = static_cast<std::uint32_t>(layered ? places[0][i] : 0);
    std::int32_t integers[3] = {};
    float reals[3] = {};
    for (std::uint32_t k = 0; k < dimensions; ++k) {
      integers[k] = static_cast<std::int32_t>(places[k + (layered ? 1 : 0)][i]);
      reals[k] = get<float>(places[k + (layered ? 1 : 0)][i]);
    }
    const Color color = in.from == Type::f32 ? one.at_reals(reals, layer) : one.at_integers(integers, layer);
    for (std::uint32_t k = 0; k < kMostChannels; ++k)
      out[k].lane[i] = color.is_integer ? color.bits[k] : put(color.real[k]);
  });
  for (std::uint32_t k = 0; k < in.vector; ++k) {
    std::uint64_t* d = warp.write(in.dst[k]);
    for_lanes(mask, [&](std::uint32_t i) { d[i] = out[k].lane[i]; });
  }
}

/// The bytes of a surface that a lane's access touches. Null outside, after raising a fault if the instruction says so.
std::byte* reach(Warp& warp, const Instruction& in, std::uint32_t lane, std::uint64_t object,
                 const std::uint64_t* const (&places)[4], std::uint32_t size) {
  const Textures* textures = warp.block().running().machine.textures;
  const auto found = textures != nullptr ? textures->surfaces.find(object) : nullptr;
  if (found == nullptr) {
    warp.raise(FaultCode::launch_failed, "an access to what is no surface");
    return nullptr;
  }
  const Texels& surface = found->texels;
  const bool layered = is_layered(in.geometry);
  const std::uint32_t dimensions = dimensions_of(in.geometry);
  std::int64_t place[3] = {};  // x in bytes
  for (std::uint32_t k = 0; k < dimensions; ++k)
    place[k] = static_cast<std::int32_t>(places[k + (layered ? 1 : 0)][lane]);
  if (layered) place[2] = static_cast<std::int32_t>(places[0][lane]);
  const std::int64_t most[3] = {static_cast<std::int64_t>(surface.row_bytes()) - size, std::int64_t{surface.height} - 1,
                                std::int64_t{surface.depth} - 1};
  for (std::uint32_t k = 0; k < 3; ++k) {
    if (place[k] >= 0 && place[k] <= most[k]) continue;
    if (in.outside == ptx::Outside::trap) warp.raise(FaultCode::launch_failed, "an access outside of a surface");
    if (in.outside != ptx::Outside::clamp) return nullptr;
    place[k] = std::clamp<std::int64_t>(place[k], 0, std::max<std::int64_t>(most[k], 0));
  }
  const std::uint64_t address = surface.address + static_cast<std::uint64_t>(place[2]) * surface.slice +
                                static_cast<std::uint64_t>(place[1]) * surface.pitch +
                                static_cast<std::uint64_t>(place[0]);
  return warp.resolve(lane, address, size, ptx::Space::global);
}

void load_surface(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t* objects = warp.read(in.src[0]);
  const std::uint64_t* const places[4] = {warp.read(in.src[1]), warp.read(in.src[2]), warp.read(in.src[3]),
                                          warp.read(in.src[4])};
  const std::uint32_t size = ptx::size_of(in.type);
  LaneValues out[kMostChannels];
  for_lanes(mask, [&](std::uint32_t i) {
    for (auto& channel : out) channel.lane[i] = 0;
    const std::byte* from = reach(warp, in, i, objects[i], places, size * in.vector);
    for (std::uint32_t k = 0; from != nullptr && k < in.vector; ++k)
      std::memcpy(&out[k].lane[i], from + k * size, size);
  });
  for (std::uint32_t k = 0; k < in.vector; ++k) {
    std::uint64_t* d = warp.write(in.dst[k]);
    for_lanes(mask, [&](std::uint32_t i) { d[i] = out[k].lane[i]; });
  }
}

void store_surface(Warp& warp, const Instruction& in, LaneMask mask) {
  const std::uint64_t* objects = warp.read(in.src[0]);
  const std::uint64_t* const places[4] = {warp.read(in.src[1]), warp.read(in.src[2]), warp.read(in.src[3]),
                                          warp.read(in.src[4])};
  const std::uint64_t* values[kMostChannels];
  for (std::uint32_t k = 0; k < in.vector; ++k)
    values[k] = warp.read(in.dst[k]);  // what is stored: see build_surface()
  const std::uint32_t size = ptx::size_of(in.type);
  for_lanes(mask, [&](std::uint32_t i) {
    std::byte* to = reach(warp, in, i, objects[i], places, size * in.vector);
    for (std::uint32_t k = 0; to != nullptr && k < in.vector; ++k) std::memcpy(to + k * size, &values[k][i], size);
  });
}

}  // namespace

ptx::Handler select_texture(const Instruction& in) {
  if (in.geometry == Geometry::none) return nullptr;
  if (in.op == Op::tex) {
    const bool result = in.type == Type::f32 || in.type == Type::u32 || in.type == Type::s32;
    const bool place = in.from == Type::f32 || in.from == Type::s32;
    return result && place && in.vector == kMostChannels ? fetch : nullptr;
  }
  const std::uint32_t size = ptx::size_of(in.type);
  if (size == 0 || size > 8 || size * in.vector > 16) return nullptr;
  if (in.op == Op::suld) return load_surface;
  return in.op == Op::sust ? store_surface : nullptr;
}

}  // namespace vgpu::sim::exec
