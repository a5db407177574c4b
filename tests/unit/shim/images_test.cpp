#include "shim/client/images.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

using vgpu::shim::image_size;
using vgpu::shim::unwrap_image;

namespace {

template <typename T>
void write_at(std::vector<uint8_t>& to, size_t offset, T value) {
  if (to.size() < offset + sizeof value) to.resize(offset + sizeof value);
  std::memcpy(to.data() + offset, &value, sizeof value);
}

std::vector<uint8_t> fatbin(uint64_t files) {
  std::vector<uint8_t> image;
  write_at<uint32_t>(image, 0, 0xba55ed50);
  write_at<uint16_t>(image, 4, 1);
  write_at<uint16_t>(image, 6, 16);
  write_at<uint64_t>(image, 8, files);
  return image;
}

/// One section of `section` bytes, the section table, then one program header at the very end: as ptxas lays a cubin
/// out.
std::vector<uint8_t> cubin(uint64_t section) {
  std::vector<uint8_t> image(64 + section + 64 + 56);
  std::memcpy(image.data(),
              "\x7f"
              "ELF\x02\x01\x01\x41\x08",
              9);
  write_at<uint16_t>(image, 18, 190);
  write_at<uint64_t>(image, 32, 64 + section + 64);  // program headers
  write_at<uint64_t>(image, 40, 64 + section);       // sections
  write_at<uint16_t>(image, 54, 56);
  write_at<uint16_t>(image, 56, 1);
  write_at<uint16_t>(image, 58, 64);
  write_at<uint16_t>(image, 60, 1);
  const size_t header = 64 + section;
  write_at<uint32_t>(image, header + 4, 1);
  write_at<uint64_t>(image, header + 24, 64);
  write_at<uint64_t>(image, header + 32, section);
  const size_t segment = header + 64;
  write_at<uint64_t>(image, segment + 8, 64);
  write_at<uint64_t>(image, segment + 32, section);
  return image;
}

}  // namespace

TEST_CASE("a fatbin is its header and its files") {
  auto image = fatbin(100);
  CHECK(image_size(image.data()) == 116);
  CHECK(image_size(image.data(), 116) == 116);
  CHECK_FALSE(image_size(image.data(), 115));
}

TEST_CASE("a fatbin that claims more than can be is none") {
  const auto image = fatbin(UINT64_MAX - 8);
  CHECK_FALSE(image_size(image.data()));
}

TEST_CASE("a cubin reaches to the program headers behind the section table") {
  const auto image = cubin(200);
  CHECK(image_size(image.data(), image.size()) == image.size());
  CHECK(image_size(image.data()) == image.size());
  for (size_t limit = 0; limit < image.size(); ++limit) CHECK_FALSE(image_size(image.data(), limit));
}

TEST_CASE("sections without bits take no room") {
  auto image = cubin(200);
  write_at<uint32_t>(image, 264 + 4, 8);
  write_at<uint64_t>(image, 264 + 32, uint64_t{1} << 40);
  CHECK(image_size(image.data(), image.size()) == image.size());
}

TEST_CASE("an ELF file for another machine is no image") {
  auto image = cubin(200);
  write_at<uint16_t>(image, 18, 62);
  CHECK_FALSE(image_size(image.data(), image.size()));
}

TEST_CASE("PTX is text up to its zero, white space first or not") {
  const std::string text = "\n  // made by hand\n.version 8.0\n";
  CHECK(image_size(text.c_str()) == text.size() + 1);
  CHECK(image_size(text.c_str(), text.size() + 1) == text.size() + 1);
  CHECK_FALSE(image_size(text.c_str(), text.size()));
}

TEST_CASE("what begins like nothing we know is no image") {
  const uint8_t garbage[] = {0x01, 0x02, 0x03, 0x04, 0};
  CHECK_FALSE(image_size(garbage, sizeof garbage));
  CHECK_FALSE(image_size("", 1));
  CHECK_FALSE(image_size(nullptr));
}

TEST_CASE("a wrapper leads to its fatbin") {
  const auto image = fatbin(10);
  struct {
    uint32_t magic, version;
    const void* data;
    const void* more;
  } wrapper{0x466243b1, 1, image.data(), nullptr};
  CHECK(unwrap_image(&wrapper) == image.data());
  wrapper.version = 2;
  CHECK(unwrap_image(&wrapper) == image.data());
  wrapper.version = 3;
  CHECK(unwrap_image(&wrapper) == nullptr);
  CHECK(unwrap_image(image.data()) == image.data());
}
