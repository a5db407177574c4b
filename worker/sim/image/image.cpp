#include "worker/sim/image/image.hpp"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace vgpu::sim::image {
namespace {

constexpr std::uint32_t wrapper_magic = 0x466243b1;
constexpr std::uint32_t fatbin_magic = 0xba55ed50;
constexpr std::uint32_t elf_magic = 0x464c457f;

constexpr std::uint16_t kind_ptx = 1;
constexpr std::uint64_t flag_lz4 = 0x2000;
constexpr std::uint64_t flag_zstd = 0x8000;
constexpr std::uint32_t device_arch = 90;

// Byte offsets in the headers.
constexpr std::size_t fatbin_header_bytes = 16;
constexpr std::size_t elf_machine_offset = 18;
constexpr std::uint16_t cuda_machine = 190;
constexpr std::size_t entry_header_bytes = 64;

struct Entry {
  std::uint16_t kind = 0;
  std::uint32_t compressed = 0;
  std::uint32_t arch = 0;
  std::uint64_t flags = 0;
  std::uint64_t uncompressed = 0;
  std::span<const std::byte> payload;
};

template <typename T>
T load(std::span<const std::byte> bytes, std::size_t offset) {
  T value{};
  if (offset <= bytes.size() && sizeof(T) <= bytes.size() - offset)
    std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// Takes the entry at the front of `rest`, and cuts it off.
std::optional<Entry> take_entry(std::span<const std::byte>& rest) {
  if (rest.size() < entry_header_bytes) return std::nullopt;
  const auto header = load<std::uint32_t>(rest, 4);
  const auto length = load<std::uint64_t>(rest, 8);
  if (header < entry_header_bytes || header > rest.size() || length > rest.size() - header) return std::nullopt;
  Entry entry;
  entry.kind = load<std::uint16_t>(rest, 0);
  entry.compressed = load<std::uint32_t>(rest, 16);
  entry.arch = load<std::uint32_t>(rest, 28);
  entry.flags = load<std::uint64_t>(rest, 40);
  entry.uncompressed = load<std::uint64_t>(rest, 56);
  entry.payload = rest.subspan(header, length);
  rest = rest.subspan(header + length);
  return entry;
}

base::Result<std::string> unpack(const Entry& entry) {
  const bool lz4 = (entry.flags & flag_lz4) != 0;
  const bool zstd = (entry.flags & flag_zstd) != 0;
  if (!lz4 && !zstd) {
    if (entry.payload.size() > max_text_bytes)
      return base::Error{invalid_image, "the PTX text in the image is larger than 64 MiB"};
    return std::string(reinterpret_cast<const char*>(entry.payload.data()), entry.payload.size());
  }
  if (entry.uncompressed > max_text_bytes || entry.compressed > entry.payload.size()) {
    return base::Error{invalid_image, "a compressed entry of the image has impossible sizes"};
  }
  std::string text(entry.uncompressed, '\0');
  const auto* from = reinterpret_cast<const char*>(entry.payload.data());
  bool done = false;
  if (lz4) {
    const int written =
        LZ4_decompress_safe(from, text.data(), static_cast<int>(entry.compressed), static_cast<int>(text.size()));
    done = written >= 0 && static_cast<std::size_t>(written) == text.size();
  } else {
    const std::size_t written = ZSTD_decompress(text.data(), text.size(), from, entry.compressed);
    done = ZSTD_isError(written) == 0 && written == text.size();
  }
  if (!done) return base::Error{invalid_image, "a compressed entry of the image does not decompress"};
  return text;
}

void trim(std::string& text) { text.resize(std::min(text.size(), text.find('\0'))); }

base::Result<std::string> read_fatbin(std::span<const std::byte> bytes) {
  const auto header = load<std::uint16_t>(bytes, 6);
  const auto files = load<std::uint64_t>(bytes, 8);
  if (header < fatbin_header_bytes || header > bytes.size() || files > bytes.size() - header) {
    return base::Error{invalid_image, "the fatbin's header does not fit the image"};
  }
  std::span<const std::byte> rest = bytes.subspan(header, files);
  std::optional<Entry> best;
  while (const auto entry = take_entry(rest)) {
    const bool usable = entry->kind == kind_ptx && entry->arch <= device_arch;
    if (usable && (!best || entry->arch > best->arch)) best = entry;
  }
  if (!best)
    return base::Error{no_binary_for_gpu,
                       "the image has no PTX that this device can run (compile with -arch=compute_90 or lower)"};
  auto text = unpack(*best);
  if (text) trim(*text);
  return text;
}

/// PTX begins with white space, a comment or a directive.
bool looks_like_text(std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes) {
    const char c = static_cast<char>(byte);
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    return c == '.' || c == '/';
  }
  return false;
}

}  // namespace

base::Result<std::string> read_image(std::span<const std::byte> bytes) {
  const auto magic = load<std::uint32_t>(bytes, 0);
  if (magic == fatbin_magic) return read_fatbin(bytes);
  if (magic == elf_magic) {
    if (bytes.size() >= elf_machine_offset + 2 && load<std::uint16_t>(bytes, elf_machine_offset) != cuda_machine) {
      return base::Error{invalid_image, "the image is machine code, but for no GPU"};
    }
    return base::Error{no_binary_for_gpu, "the image is machine code for an NVIDIA GPU; this device runs PTX only"};
  }
  if (!looks_like_text(bytes)) return base::Error{invalid_image, "the image is neither a fatbin nor PTX text"};
  if (bytes.size() > max_text_bytes) return base::Error{invalid_image, "the PTX text is larger than 64 MiB"};
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  trim(text);
  return text;
}

bool is_wrapper(const void* image) {
  // Not memcmp: text may be shorter than the number, and no byte of that is zero.
  return std::strncmp(static_cast<const char*>(image), reinterpret_cast<const char*>(&wrapper_magic),
                      sizeof wrapper_magic) == 0;
}

base::Result<std::string> read_image_at(const void* image) {
  const auto* bytes = static_cast<const std::byte*>(image);
  // Text may be shorter than four bytes; a zero ends it, and no magic number has one at its front.
  std::size_t known = 0;
  while (known < 4 && bytes[known] != std::byte{0}) ++known;
  if (known < 4) return read_image({bytes, known});
  const auto magic = load<std::uint32_t>({bytes, 4}, 0);
  if (magic == wrapper_magic) {
    const std::byte* data = nullptr;
    std::memcpy(&data, bytes + 8, sizeof data);
    if (data == nullptr || load<std::uint32_t>({data, 4}, 0) != fatbin_magic)
      return base::Error{invalid_image, "the fatbin wrapper leads to no fatbin"};
    return read_image_at(data);
  }
  if (magic == fatbin_magic) {
    const std::span<const std::byte> header(bytes, fatbin_header_bytes);
    const auto files = load<std::uint64_t>(header, 8);
    if (files > max_image_bytes) return base::Error{invalid_image, "the fatbin is larger than 1 GiB"};
    return read_image({bytes, load<std::uint16_t>(header, 6) + files});
  }
  if (magic == elf_magic) return read_image({bytes, elf_machine_offset + 2});
  return read_image({bytes, ::strnlen(reinterpret_cast<const char*>(bytes), max_text_bytes + 1)});
}

}  // namespace vgpu::sim::image
