#include "worker/code_scan.hpp"

#include <cstring>
#include <string_view>

namespace vgpu::worker {
namespace {

// A fatbin: header {magic u32, version u16, header size u16, size u64}, then entries {kind u16, version u16, header
// size u32, payload size u64, ... flags u64 at 40}.
constexpr uint32_t kFatbinMagic = 0xBA55ED50;
constexpr size_t kFatbinHeader = 16;
constexpr size_t kEntryHeader = 64;
constexpr uint16_t kMachineCode = 2;
constexpr uint64_t kCompressed = 0x2000 | 0x8000;

template <typename T>
T read(std::span<const uint8_t> bytes, size_t at) {
  T value{};
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

bool has_compressed_code(std::span<const uint8_t> image) {
  if (image.size() < kFatbinHeader || read<uint32_t>(image, 0) != kFatbinMagic) return false;
  for (size_t at = read<uint16_t>(image, 6); at + kEntryHeader <= image.size();) {
    const auto kind = read<uint16_t>(image, at);
    const size_t header = read<uint32_t>(image, at + 4);
    const uint64_t payload = read<uint64_t>(image, at + 8);
    if (header < kEntryHeader || payload > image.size()) return false;
    if (kind == kMachineCode && (read<uint64_t>(image, at + 40) & kCompressed) != 0) return true;
    at += header + payload;
  }
  return false;
}

}  // namespace

bool can_print(std::span<const uint8_t> image) {
  const std::string_view text(reinterpret_cast<const char*>(image.data()), image.size());
  return text.find("vprintf") != text.npos || text.find("__assertfail") != text.npos || has_compressed_code(image);
}

}  // namespace vgpu::worker
