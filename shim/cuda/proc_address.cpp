// cuGetProcAddress: answers as a 580 driver does (tests/data/driver-580-facts.tsv). Every copy of libcudart asks about
// 440 times at start.
#include <array>
#include <cstdint>
#include <iterator>
#include <string_view>

#include "shim/client/device_facts.hpp"
#include "shim/cuda/symbols.gen.hpp"

namespace vgpu::shim::calls {
namespace {

struct Row {
  const char* base;
  bool per_thread;
  int since;
  const char* symbol;
  void* address;
};

// Rows of one base name lie together: first the legacy variants, then those for per-thread default streams, each by
// rising version.
const Row kRows[] = {
#include "common/api/versions.gen.inc"
};
constexpr size_t kRowCount = std::size(kRows);

/// Where the rows of each base name begin: a hash table with open addressing, built at first use.
class Index {
 public:
  Index() {
    places_.fill(kEmpty);
    for (size_t row = 0; row < kRowCount; ++row) {
      if (row != 0 && std::string_view(kRows[row].base) == kRows[row - 1].base) continue;
      size_t place = start(kRows[row].base);
      while (places_[place] != kEmpty) place = (place + 1) % kPlaces;
      places_[place] = static_cast<uint16_t>(row);
    }
  }

  /// First row of `name`, or kRowCount.
  size_t find(std::string_view name) const {
    for (size_t place = start(name); places_[place] != kEmpty; place = (place + 1) % kPlaces) {
      if (name == kRows[places_[place]].base) return places_[place];
    }
    return kRowCount;
  }

 private:
  static constexpr size_t kPlaces = 2048;
  static constexpr uint16_t kEmpty = UINT16_MAX;
  static_assert(kRowCount < kPlaces, "the table would be full");

  /// FNV-1a.
  static size_t start(std::string_view name) {
    uint32_t hash = 2166136261u;
    for (const char letter : name) hash = (hash ^ static_cast<uint8_t>(letter)) * 16777619u;
    return hash % kPlaces;
  }

  std::array<uint16_t, kPlaces> places_;
};

struct Answer {
  void* address = nullptr;
  CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
};

Answer look_up(std::string_view name, int version, bool per_thread) {
  static const Index index;
  Answer answer;
  for (size_t row = index.find(name); row < kRowCount && name == kRows[row].base; ++row) {
    if (kRows[row].per_thread != per_thread) continue;
    if (kRows[row].since <= version) {
      answer = {kRows[row].address, CU_GET_PROC_ADDRESS_SUCCESS};
    } else if (answer.address == nullptr) {
      answer.status = CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT;
    }
  }
  return answer;
}

bool refused(const char* symbol, void** pfn, int version, cuuint64_t flags) {
  return symbol == nullptr || pfn == nullptr || flags > CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM ||
         version > newest_version();
}

}  // namespace

CUresult cuGetProcAddress_v2(const char* symbol, void** pfn, int cudaVersion, cuuint64_t flags,
                             CUdriverProcAddressQueryResult* symbolStatus) {
  if (refused(symbol, pfn, cudaVersion, flags)) return CUDA_ERROR_INVALID_VALUE;
  const Answer answer = look_up(symbol, cudaVersion, flags == CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM);
  *pfn = answer.address;
  if (symbolStatus != nullptr) *symbolStatus = answer.status;
  return CUDA_SUCCESS;
}

// The first version has no status: that there is no such function is its result.
CUresult cuGetProcAddress(const char* symbol, void** pfn, int cudaVersion, cuuint64_t flags) {
  CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
  const CUresult result = cuGetProcAddress_v2(symbol, pfn, cudaVersion, flags, &status);
  if (result != CUDA_SUCCESS) return result;
  return status == CU_GET_PROC_ADDRESS_SUCCESS ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

}  // namespace vgpu::shim::calls
