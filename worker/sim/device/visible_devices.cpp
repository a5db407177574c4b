#include "worker/sim/device/visible_devices.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

namespace vgpu::sim::device {
namespace {

constexpr unsigned kNone = ~0u;

/// As the programs of NVIDIA write it.
std::string uuid_text(unsigned index) {
  const auto bytes = uuid_of(index);
  std::string text = "GPU-";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    char digits[4];
    std::snprintf(digits, sizeof digits, "%02x", bytes[i]);
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += digits;
  }
  return text;
}

/// The device that one word of the list names.
unsigned named(std::string_view word, unsigned count) {
  if (word.starts_with("GPU-")) {
    unsigned found = kNone;
    for (unsigned index = 0; index < count; ++index) {
      if (!uuid_text(index).starts_with(word)) continue;
      if (found != kNone) return kNone;  // not the beginning of one alone
      found = index;
    }
    return found;
  }
  unsigned index = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), index);
  return error == std::errc() && end == word.data() + word.size() && index < count ? index : kNone;
}

std::string_view trimmed(std::string_view word) {
  const auto first = word.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return word.substr(first, word.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::array<std::uint8_t, 16> uuid_of(unsigned index) {
  std::array<std::uint8_t, 16> uuid = {0x76, 0x67, 0x70, 0x75, 0x2d, 0x73, 0x69, 0x6d,
                                       0x2d, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x31};
  uuid.back() = static_cast<std::uint8_t>(uuid.back() + index);
  return uuid;
}

unsigned bus_of(unsigned index) { return 6 + index; }

std::vector<unsigned> visible_devices(unsigned count, const char* list) {
  std::vector<unsigned> devices;
  if (list == nullptr) {
    for (unsigned index = 0; index < count; ++index) devices.push_back(index);
    return devices;
  }
  for (std::string_view rest = list; !rest.empty();) {
    const std::size_t comma = rest.find(',');
    const unsigned index = named(trimmed(rest.substr(0, comma)), count);
    if (index == kNone) break;
    if (std::find(devices.begin(), devices.end(), index) != devices.end()) return {};
    devices.push_back(index);
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return devices;
}

}  // namespace vgpu::sim::device
