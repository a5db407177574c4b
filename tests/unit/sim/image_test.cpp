// Images in all their forms, and broken ones.
#include <lz4.h>
#include <zstd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "worker/sim/image/image.hpp"

using namespace vgpu::sim::image;

namespace {

using Bytes = std::vector<std::byte>;

constexpr char text[] = ".version 9.0\n.target sm_90\n.address_size 64\n.visible .entry k() { ret; }\n";

template <typename T>
void append(Bytes& out, T value) {
  const auto* from = reinterpret_cast<const std::byte*>(&value);
  out.insert(out.end(), from, from + sizeof value);
}

struct EntrySpec {
  std::uint16_t kind = 1;
  std::uint32_t arch = 90;
  std::uint64_t flags = 0x11;
  Bytes payload;
  std::uint32_t compressed = 0;
  std::uint64_t uncompressed = 0;
};

Bytes entry(const EntrySpec& spec) {
  Bytes out;
  append(out, spec.kind);
  append(out, std::uint16_t{0x101});
  append(out, std::uint32_t{64});
  append(out, std::uint64_t{spec.payload.size()});
  append(out, spec.compressed);
  append(out, std::uint64_t{0});
  append(out, spec.arch);
  append(out, std::uint64_t{0});
  append(out, spec.flags);
  append(out, std::uint64_t{0});
  append(out, spec.uncompressed);
  out.insert(out.end(), spec.payload.begin(), spec.payload.end());
  return out;
}

Bytes fatbin(const std::vector<EntrySpec>& entries) {
  Bytes files;
  for (const EntrySpec& spec : entries) {
    const Bytes bytes = entry(spec);
    files.insert(files.end(), bytes.begin(), bytes.end());
  }
  Bytes out;
  append(out, std::uint32_t{0xba55ed50});
  append(out, std::uint16_t{1});
  append(out, std::uint16_t{16});
  append(out, std::uint64_t{files.size()});
  out.insert(out.end(), files.begin(), files.end());
  return out;
}

Bytes bytes_of(const std::string& from) {
  Bytes out(from.size());
  std::memcpy(out.data(), from.data(), from.size());
  return out;
}

EntrySpec plain(const std::string& from, std::uint32_t arch = 90) {
  EntrySpec spec;
  spec.arch = arch;
  spec.payload = bytes_of(from);
  return spec;
}

EntrySpec with_lz4() {
  EntrySpec spec;
  Bytes packed(static_cast<std::size_t>(LZ4_compressBound(sizeof text)));
  const int size =
      LZ4_compress_default(text, reinterpret_cast<char*>(packed.data()), sizeof text, static_cast<int>(packed.size()));
  spec.compressed = static_cast<std::uint32_t>(size);
  packed.resize((spec.compressed + 7) / 8 * 8);
  spec.payload = packed;
  spec.uncompressed = sizeof text;
  spec.flags |= 0x2000;
  return spec;
}

EntrySpec with_zstd() {
  EntrySpec spec;
  Bytes packed(ZSTD_compressBound(sizeof text));
  spec.compressed = static_cast<std::uint32_t>(ZSTD_compress(packed.data(), packed.size(), text, sizeof text, 3));
  packed.resize((spec.compressed + 7) / 8 * 8);
  spec.payload = packed;
  spec.uncompressed = sizeof text;
  spec.flags |= 0x8000;
  return spec;
}

}  // namespace

TEST_CASE("PTX is found in every form of image") {
  CHECK(read_image(bytes_of(text)).value() == text);
  CHECK(read_image(fatbin({plain(text)})).value() == text);
  CHECK(read_image(fatbin({with_lz4()})).value() == text);
  CHECK(read_image(fatbin({with_zstd()})).value() == text);
  CHECK(read_image_at(text).value() == text);
  const Bytes bare = fatbin({with_zstd()});
  struct {
    std::uint32_t magic = 0x466243b1, version = 1;
    const void* data = nullptr;
    const void* filename = nullptr;
  } wrapper;
  wrapper.data = bare.data();
  CHECK(read_image_at(&wrapper).value() == text);
}

TEST_CASE("the newest text that the device can run is taken") {
  CHECK(read_image(fatbin({plain(".a", 75), plain(".b", 90), plain(".c", 100)})).value() == ".b");
  CHECK(read_image(fatbin({plain(".c", 100)})).error().code == no_binary_for_gpu);
}

TEST_CASE("machine code is no binary for this device") {
  EntrySpec elf = plain(
      "\x7f"
      "ELF");
  elf.kind = 2;
  CHECK(read_image(fatbin({elf})).error().code == no_binary_for_gpu);
  std::string bare = std::string(
                         "\x7f"
                         "ELF") +
                     std::string(60, '\0');
  CHECK(read_image(bytes_of(bare)).error().code == invalid_image);
  bare[18] = static_cast<char>(190);  // the machine of CUDA
  CHECK(read_image(bytes_of(bare)).error().code == no_binary_for_gpu);
}

TEST_CASE("broken images are refused") {
  CHECK(read_image({}).error().code == invalid_image);
  CHECK(read_image(bytes_of("garbage")).error().code == invalid_image);
  EntrySpec lying = with_zstd();
  lying.uncompressed = 1ull << 60;
  CHECK(read_image(fatbin({lying})).error().code == invalid_image);
  EntrySpec wrong = with_lz4();
  wrong.uncompressed += 1;
  CHECK(read_image(fatbin({wrong})).error().code == invalid_image);
  EntrySpec cut = with_lz4();
  cut.compressed += 1000;
  CHECK(read_image(fatbin({cut})).error().code == invalid_image);
}

TEST_CASE("no prefix and no flipped byte of an image is read past its end") {
  const Bytes whole = fatbin({with_lz4(), with_zstd(), plain(text)});
  for (std::size_t size = 0; size < whole.size(); ++size)
    static_cast<void>(read_image(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    Bytes changed = whole;
    for (int i = 0; i < 3; ++i)
      changed[random() % std::min<std::size_t>(changed.size(), 200)] = static_cast<std::byte>(random());
    static_cast<void>(read_image(changed));
  }
}
