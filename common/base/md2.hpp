// MD2 (RFC 1319) and HMAC with it (RFC 2104). Not for secrets: libcudart's start-up handshake is defined in terms of
// it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace vgpu::base {

using Md2Digest = std::array<uint8_t, 16>;

namespace md2_detail {

// The RFC's permutation of 0..255, made from the digits of pi.
inline constexpr std::array<uint8_t, 256> kPi = {
    41,  46,  67,  201, 162, 216, 124, 1,   61,  54,  84,  161, 236, 240, 6,   19,  98,  167, 5,   243, 192, 199,
    115, 140, 152, 147, 43,  217, 188, 76,  130, 202, 30,  155, 87,  60,  253, 212, 224, 22,  103, 66,  111, 24,
    138, 23,  229, 18,  190, 78,  196, 214, 218, 158, 222, 73,  160, 251, 245, 142, 187, 47,  238, 122, 169, 104,
    121, 145, 21,  178, 7,   63,  148, 194, 16,  137, 11,  34,  95,  33,  128, 127, 93,  154, 90,  144, 50,  39,
    53,  62,  204, 231, 191, 247, 151, 3,   255, 25,  48,  179, 72,  165, 181, 209, 215, 94,  146, 42,  172, 86,
    170, 198, 79,  184, 56,  210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116, 4,   241, 69,  157, 112, 89,
    100, 113, 135, 32,  134, 91,  207, 101, 230, 45,  168, 2,   27,  96,  37,  173, 174, 176, 185, 246, 28,  70,
    97,  105, 52,  64,  126, 15,  85,  71,  163, 35,  221, 81,  175, 58,  195, 92,  249, 206, 186, 197, 234, 38,
    44,  83,  13,  110, 133, 40,  132, 9,   211, 223, 205, 244, 65,  129, 77,  82,  106, 220, 55,  200, 108, 193,
    171, 250, 36,  225, 123, 8,   12,  189, 177, 74,  120, 136, 149, 139, 227, 99,  232, 109, 233, 203, 213, 254,
    59,  0,   29,  57,  242, 239, 183, 14,  102, 88,  208, 228, 166, 119, 114, 248, 235, 117, 75,  10,  49,  68,
    80,  180, 143, 237, 31,  26,  219, 153, 141, 51,  159, 17,  131, 20,
};

}  // namespace md2_detail

/// Takes a message piece by piece.
class Md2 {
 public:
  void update(std::span<const uint8_t> bytes) {
    for (const uint8_t byte : bytes) {
      block_[filled_++] = byte;
      if (filled_ == kBlock) take_block();
    }
  }

  Md2Digest finish() {
    const auto padding = static_cast<uint8_t>(kBlock - filled_);
    std::fill(block_.begin() + static_cast<ptrdiff_t>(filled_), block_.end(), padding);
    take_block();
    block_ = checksum_;
    mix();
    Md2Digest digest;
    std::copy_n(state_.begin(), digest.size(), digest.begin());
    return digest;
  }

 private:
  static constexpr size_t kBlock = 16;

  void take_block() {
    uint8_t last = checksum_[kBlock - 1];
    for (size_t i = 0; i < kBlock; ++i) last = checksum_[i] ^= md2_detail::kPi[block_[i] ^ last];
    mix();
    filled_ = 0;
  }

  void mix() {
    for (size_t i = 0; i < kBlock; ++i) {
      state_[kBlock + i] = block_[i];
      state_[2 * kBlock + i] = block_[i] ^ state_[i];
    }
    uint8_t carry = 0;
    for (unsigned round = 0; round < 18; ++round) {
      for (uint8_t& byte : state_) carry = byte ^= md2_detail::kPi[carry];
      carry = static_cast<uint8_t>(carry + round);
    }
  }

  std::array<uint8_t, kBlock> block_{};
  std::array<uint8_t, kBlock> checksum_{};
  std::array<uint8_t, 3 * kBlock> state_{};
  size_t filled_ = 0;
};

inline Md2Digest md2(std::span<const uint8_t> message) {
  Md2 hash;
  hash.update(message);
  return hash.finish();
}

/// HMAC-MD2 with a key of one block.
inline Md2Digest hmac_md2(const std::array<uint8_t, 16>& key, std::span<const uint8_t> message) {
  const auto keyed = [&key](uint8_t pad, std::span<const uint8_t> text) {
    std::array<uint8_t, 16> first;
    for (size_t i = 0; i < first.size(); ++i) first[i] = key[i] ^ pad;
    Md2 hash;
    hash.update(first);
    hash.update(text);
    return hash.finish();
  };
  return keyed(0x5c, keyed(0x36, message));
}

}  // namespace vgpu::base
