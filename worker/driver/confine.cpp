#include "worker/driver/confine.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

namespace vgpu::worker {
namespace {

struct Range {
  uint64_t begin;
  uint64_t end;
};

constexpr uint64_t kLowest = 0x10000;
constexpr uint64_t kHighest = 0x7ffffffff000;
// cuInit maps 4 GiB here and fails with OUT_OF_MEMORY where it cannot (driver 580).
constexpr Range kDriverOwn{0x200000000, 0x400000000};
constexpr uint64_t kStackGrowth = 64ull << 20;

/// What must stay as it is: everything mapped, with room for a stack to grow.
std::vector<Range> mapped_ranges() {
  std::vector<Range> ranges;
  FILE* maps = std::fopen("/proc/self/maps", "re");
  if (maps == nullptr) return ranges;
  char line[1024];
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line, "%lx-%lx", &begin, &end) != 2) continue;
    const bool stack = std::strstr(line, "[stack]") != nullptr;
    ranges.push_back({stack ? begin - kStackGrowth : begin, end});
  }
  std::fclose(maps);
  return ranges;
}

void block(uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  // Failure is harmless: an address more that the driver may choose.
  ::mmap(reinterpret_cast<void*>(begin), end - begin, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

}  // namespace

base::Result<void> confine_driver(uint64_t arena_base, uint64_t arena_size) {
  constexpr uint64_t kPage = 4096;
  if (arena_base % kPage != 0 || arena_size % kPage != 0 || arena_size == 0 || arena_base < kLowest ||
      arena_base >= kHighest || arena_size > kHighest - arena_base) {
    return base::Error{
        0, fmt::format("the guest offers an arena that cannot be one: {:#x} + {:#x}", arena_base, arena_size)};
  }
  std::vector<Range> keep = mapped_ranges();
  keep.push_back(kDriverOwn);
  keep.push_back({arena_base, arena_base + arena_size});
  std::sort(keep.begin(), keep.end(), [](const Range& a, const Range& b) { return a.begin < b.begin; });
  uint64_t at = kLowest;
  for (const Range& range : keep) {
    if (range.begin >= kHighest) break;
    block(at, std::min(range.begin, kHighest));
    at = std::max(at, range.end);
  }
  block(at, kHighest);
  return {};
}

}  // namespace vgpu::worker
