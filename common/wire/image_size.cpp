#include "common/wire/image_size.hpp"

#include <algorithm>
#include <cstring>

namespace vgpu::wire {
namespace {

constexpr uint32_t kFatbinMagic = 0xba55ed50;
constexpr uint32_t kElfMagic = 0x464c457f;  // 0x7f 'E' 'L' 'F'
constexpr uint16_t kMachineCuda = 190;
constexpr uint8_t kElfClass64 = 2;
constexpr uint32_t kSectionNoBits = 8;

struct FatbinHeader {
  uint32_t magic;
  uint16_t version;
  uint16_t header_size;
  uint64_t files_size;
};

struct ElfHeader {
  uint8_t identification[16];
  uint16_t type, machine;
  uint32_t version;
  uint64_t entry, program_offset, section_offset;
  uint32_t flags;
  uint16_t header_size, program_entry_size, program_count, section_entry_size, section_count, names_index;
};

struct ElfSection {
  uint32_t name, type;
  uint64_t flags, address, offset, size;
  uint32_t link, info;
  uint64_t alignment, entry_size;
};

struct ElfSegment {
  uint32_t type, flags;
  uint64_t offset, virtual_address, physical_address, file_size, memory_size, alignment;
};

static_assert(sizeof(FatbinHeader) == 16 && sizeof(ElfHeader) == 64 && sizeof(ElfSection) == 64 &&
              sizeof(ElfSegment) == 56);

/// Memory that may be read up to a limit.
class Bounded {
 public:
  Bounded(const void* data, size_t limit)
      : data_(static_cast<const uint8_t*>(data)), limit_(std::min(limit, kMaxImage)) {}

  template <typename T>
  bool load(uint64_t offset, T& value) const {
    if (!covers(offset, sizeof value)) return false;
    std::memcpy(&value, data_ + offset, sizeof value);
    return true;
  }
  bool covers(uint64_t offset, uint64_t size) const { return offset <= limit_ && size <= limit_ - offset; }
  const uint8_t* data() const { return data_; }
  size_t limit() const { return limit_; }

 private:
  const uint8_t* data_;
  size_t limit_;
};

/// Compares byte by byte: a short text may end where memory ends.
bool begins_with(const Bounded& image, uint32_t magic) {
  for (unsigned place = 0; place < sizeof magic; ++place) {
    uint8_t byte = 0;
    if (!image.load(place, byte) || byte != static_cast<uint8_t>(magic >> (8 * place))) return false;
  }
  return true;
}

/// Grows `end` to cover a part of the file; false if that part reaches beyond the limit.
bool extend(const Bounded& image, uint64_t offset, uint64_t size, uint64_t& end) {
  if (!image.covers(offset, size)) return false;
  end = std::max(end, offset + size);
  return true;
}

std::optional<size_t> fatbin_size(const Bounded& image) {
  FatbinHeader header;
  if (!image.load(0, header) || header.header_size < sizeof header) return std::nullopt;
  if (!image.covers(header.header_size, header.files_size)) return std::nullopt;
  return header.header_size + header.files_size;
}

// The program headers of a cubin come last, so the section table alone would be short.
std::optional<size_t> cubin_size(const Bounded& image) {
  ElfHeader header;
  if (!image.load(0, header) || header.identification[4] != kElfClass64 || header.machine != kMachineCuda)
    return std::nullopt;
  uint64_t end = sizeof header;
  if (header.program_count != 0 &&
      !extend(image, header.program_offset, uint64_t{header.program_count} * sizeof(ElfSegment), end))
    return std::nullopt;
  if (header.section_count != 0 &&
      !extend(image, header.section_offset, uint64_t{header.section_count} * sizeof(ElfSection), end))
    return std::nullopt;
  for (uint64_t index = 0; index < header.section_count; ++index) {
    ElfSection section;
    if (!image.load(header.section_offset + index * sizeof section, section)) return std::nullopt;
    if (section.type != kSectionNoBits && !extend(image, section.offset, section.size, end)) return std::nullopt;
  }
  for (uint64_t index = 0; index < header.program_count; ++index) {
    ElfSegment segment;
    if (!image.load(header.program_offset + index * sizeof segment, segment)) return std::nullopt;
    if (!extend(image, segment.offset, segment.file_size, end)) return std::nullopt;
  }
  return end;
}

bool may_begin_text(uint8_t byte) { return (byte >= ' ' && byte < 0x7f) || (byte >= '\t' && byte <= '\r'); }

std::optional<size_t> text_size(const Bounded& image) {
  if (image.limit() == 0 || !may_begin_text(image.data()[0])) return std::nullopt;
  const void* end = std::memchr(image.data(), 0, image.limit());
  if (end == nullptr) return std::nullopt;
  return static_cast<size_t>(static_cast<const uint8_t*>(end) - image.data()) + 1;
}

}  // namespace

std::optional<size_t> image_size(const void* image, size_t limit) {
  if (image == nullptr) return std::nullopt;
  const Bounded bounded(image, limit);
  if (begins_with(bounded, kElfMagic)) return cubin_size(bounded);
  if (begins_with(bounded, kFatbinMagic)) return fatbin_size(bounded);
  return text_size(bounded);
}

}  // namespace vgpu::wire
