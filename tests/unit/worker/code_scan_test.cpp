// Which code makes waits flush device printf: missing a printing image loses output, so whatever is unclear counts.
#include "worker/code_scan.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <string_view>
#include <vector>

using vgpu::worker::can_print;

namespace {

std::vector<uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

/// A fatbin with one entry.
std::vector<uint8_t> fatbin(uint16_t kind, uint64_t flags, std::string_view payload) {
  std::vector<uint8_t> image(16 + 64 + payload.size());
  const uint32_t magic = 0xBA55ED50;
  const uint16_t version = 1, header = 16;
  const uint32_t entry_header = 64;
  const uint64_t size = payload.size();
  std::memcpy(&image[0], &magic, sizeof magic);
  std::memcpy(&image[4], &version, sizeof version);
  std::memcpy(&image[6], &header, sizeof header);
  std::memcpy(&image[16], &kind, sizeof kind);
  std::memcpy(&image[20], &entry_header, sizeof entry_header);
  std::memcpy(&image[24], &size, sizeof size);
  std::memcpy(&image[56], &flags, sizeof flags);
  if (!payload.empty()) std::memcpy(&image[80], payload.data(), payload.size());
  return image;
}

}  // namespace

TEST_CASE("code that names printf or assert can print") {
  CHECK(can_print(bytes_of(".extern .func (.param .b32 r) vprintf (.param .b64 a)")));
  CHECK(can_print(bytes_of("call.uni __assertfail")));
  CHECK(can_print(fatbin(2, 0,
                         "\x7f"
                         "ELF ... vprintf")));
}

TEST_CASE("other code cannot") {
  CHECK_FALSE(can_print({}));
  CHECK_FALSE(can_print(bytes_of(".visible .entry noop() { ret; }")));
  CHECK_FALSE(can_print(fatbin(2, 0,
                               "\x7f"
                               "ELF")));
}

TEST_CASE("compressed machine code is taken to print; compressed PTX is the compiler's to judge") {
  CHECK(can_print(fatbin(2, 0x2000, "????????")));
  CHECK(can_print(fatbin(2, 0x8000, "????????")));
}

TEST_CASE("broken fatbins end the search") {
  auto image = fatbin(1, 0, "text");
  const uint32_t tiny = 1;
  std::memcpy(&image[20], &tiny, sizeof tiny);  // an entry's header that would never end
  CHECK_FALSE(can_print(image));
  image = fatbin(1, 0, "text");
  const uint64_t huge = ~uint64_t{0};
  std::memcpy(&image[24], &huge, sizeof huge);
  CHECK_FALSE(can_print(image));
  image = fatbin(1, 0, "");
  for (size_t size = 0; size < image.size(); ++size) CHECK_FALSE(can_print(std::span(image).first(size)));
}
