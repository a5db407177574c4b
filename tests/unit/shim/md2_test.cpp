#include "common/base/md2.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <string>
#include <string_view>

namespace {

std::span<const uint8_t> bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string hex(const vgpu::base::Md2Digest& digest) {
  std::string text;
  for (const uint8_t byte : digest) {
    char pair[3];
    std::snprintf(pair, sizeof pair, "%02x", byte);
    text += pair;
  }
  return text;
}

}  // namespace

TEST_CASE("MD2 gives the digests of RFC 1319's appendix") {
  const std::pair<const char*, const char*> vectors[] = {
      {"", "8350e5a3e24c153df2275c9f80692773"},
      {"a", "32ec01ec4a6dac72c0ab96fb34c0b5d1"},
      {"abc", "da853b0d3f88d99b30283a69e6ded6bb"},
      {"message digest", "ab4f496bfb2a530b219ff33031fe06b0"},
      {"abcdefghijklmnopqrstuvwxyz", "4e8ddff3650292ab5a4108c3aa47940b"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "da33def2a42df13975352846c30338cd"},
      {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
       "d5976f79d83d3a0dc9806c3c66f3efd8"},
  };
  for (const auto& [message, digest] : vectors) CHECK(hex(vgpu::base::md2(bytes(message))) == digest);
}

TEST_CASE("HMAC-MD2 is the two nested digests of RFC 2104") {
  const std::array<uint8_t, 16> key = {0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b,
                                       0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b, 0x0b};
  std::string inner(16, '\x0b' ^ '\x36');
  inner += "Hi There";
  const auto first = vgpu::base::md2(bytes(inner));
  std::string outer(16, '\x0b' ^ '\x5c');
  outer.append(reinterpret_cast<const char*>(first.data()), first.size());
  CHECK(vgpu::base::hmac_md2(key, bytes("Hi There")) == vgpu::base::md2(bytes(outer)));
}
