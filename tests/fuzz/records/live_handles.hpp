// Which of the fake driver's handles stand for something: one that is used after its end would be the driver's crash.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <type_traits>

#include "common/api/cuda_types.hpp"

namespace vgpu::fuzz {

class LiveHandles {
 public:
  /// A new handle, which lives as long as its context and its parent (0: no matter).
  template <typename Handle>
  Handle make(uintptr_t context, uintptr_t parent = 0) {
    next_ += 16;
    things_[next_] = {context, parent};
    return reinterpret_cast<Handle>(next_);
  }
  /// One that the driver has from the start.
  template <typename Handle>
  Handle keep(uintptr_t value) {
    things_[value] = {};
    return reinterpret_cast<Handle>(value);
  }
  bool is_live(uintptr_t handle) const { return things_.count(handle) != 0; }
  uintptr_t context_of(uintptr_t handle) const {
    const auto found = things_.find(handle);
    return found == things_.end() ? 0 : found->second.context;
  }

  void end(uintptr_t handle) {
    things_.erase(handle);
    end_if([handle](const Thing& thing) { return thing.parent == handle; });
  }
  /// What lived in a context; the context itself stays.
  void end_content(uintptr_t context) {
    end_if([context](const Thing& thing) { return thing.context == context; });
  }

 private:
  struct Thing {
    uintptr_t context = 0;
    uintptr_t parent = 0;
  };
  template <typename Which>
  void end_if(Which which) {
    for (auto entry = things_.begin(); entry != things_.end();) {
      const auto here = entry++;
      if (!which(here->second)) continue;
      const uintptr_t handle = here->first;
      things_.erase(here);
      end(handle);
      entry = things_.begin();
    }
  }

  std::map<uintptr_t, Thing> things_;
  uintptr_t next_ = 0x10000;
};

template <typename T>
inline constexpr bool kIsHandle =
    std::is_same_v<T, cuda::CUcontext> || std::is_same_v<T, cuda::CUmodule> || std::is_same_v<T, cuda::CUlibrary> ||
    std::is_same_v<T, cuda::CUkernel> || std::is_same_v<T, cuda::CUfunction> || std::is_same_v<T, cuda::CUstream> ||
    std::is_same_v<T, cuda::CUevent> || std::is_same_v<T, cuda::CUgraph> || std::is_same_v<T, cuda::CUgraphExec> ||
    std::is_same_v<T, cuda::CUmemoryPool> || std::is_same_v<T, cuda::CUarray> ||
    std::is_same_v<T, cuda::CUmipmappedArray> || std::is_same_v<T, cuda::CUtexref> ||
    std::is_same_v<T, cuda::CUsurfref> || std::is_same_v<T, cuda::CUgreenCtx>;

/// Looks at one argument of a call.
template <typename T>
void check_live(const LiveHandles& handles, T argument) {
  if constexpr (kIsHandle<T>) {
    const auto value = reinterpret_cast<uintptr_t>(argument);
    const bool special = std::is_same_v<T, cuda::CUstream> && (value == 1 || value == 2);
    if (special || handles.is_live(value)) return;
    std::fprintf(stderr, "fake driver: a handle that stands for nothing (%s)\n", __PRETTY_FUNCTION__);
    std::abort();
  }
}

}  // namespace vgpu::fuzz
