#include "shim/client/arena.hpp"

#include <sys/mman.h>

// There if ThreadSanitizer is in the program.
extern "C" __attribute__((weak)) void __tsan_init();

namespace vgpu::shim {
namespace {
constexpr uint64_t kTiB = uint64_t{1} << 40;
constexpr uint64_t kBases[] = {0x740000000000, 0x600000000000, 0x400000000000, 0x120000000000, 0x320000000000};
// Less than 2 TiB only where the address space is limited (ulimit -v).
constexpr uint64_t kSizes[] = {2 * kTiB, kTiB, kTiB / 2, kTiB / 4};
constexpr uint64_t kThreadSanitizerLets = 0x7e8000000000;
}  // namespace

bool is_mappable(uint64_t address) { return &__tsan_init == nullptr || address >= kThreadSanitizerLets; }

bool reserve_arena(uint64_t base, uint64_t size) {
  if (!is_mappable(base)) return false;
  void* wanted = reinterpret_cast<void*>(base);
  void* got = ::mmap(wanted, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (got == MAP_FAILED) return false;
  if (got == wanted) return true;
  ::munmap(got, size);  // kernels before 4.17 take the flag for a hint
  return false;
}

void release_arena(const Arena& arena) { ::munmap(reinterpret_cast<void*>(arena.base), arena.size); }

Arena reserve_any_arena() {
  for (const uint64_t size : kSizes)
    for (const uint64_t base : kBases)
      if (reserve_arena(base, size)) return {base, size};
  return {};
}

}  // namespace vgpu::shim
