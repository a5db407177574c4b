// The client's arrays and mipmapped arrays, the references of modules that kernels read and write them through, and the
// texture and surface objects, whose numbers are the driver's own.
#pragma once

#include <cstdint>
#include <set>
#include <utility>

#include "common/api/cuda_types.hpp"
#include "worker/objects/handle_table.hpp"
#include "worker/objects/limits.hpp"

namespace vgpu::worker {

using namespace vgpu::cuda;

struct Array {
  CUarray real = nullptr;
  uint64_t context = 0;
  uint64_t owner =
      0;  ///< the array it is a plane of, or the mipmapped array it is a level of; 0: the client destroys it
  uint64_t charged = 0;  ///< bytes
  CUDA_ARRAY3D_DESCRIPTOR shape{};
};

struct Mipmap {
  CUmipmappedArray real = nullptr;
  uint64_t context = 0;
  uint64_t charged = 0;
};

/// A texture or surface reference.
template <typename Real>
struct Reference {
  Real real = nullptr;
  uint64_t context = 0;
  uint64_t module = 0;  ///< that declares it; 0: made by the client
};

class Arrays {
 public:
  HandleTable<Array> arrays{wire::Kind::array, kMostArrays};
  HandleTable<Mipmap> mipmaps{wire::Kind::mipmap, kMostArrays};

  bool find(uint64_t handle, CUarray& out) {
    const Array* found = arrays.find(handle);
    if (found != nullptr) out = found->real;
    return found != nullptr;
  }
  bool find(uint64_t handle, CUmipmappedArray& out) {
    const Mipmap* found = mipmaps.find(handle);
    if (found != nullptr) out = found->real;
    return found != nullptr;
  }
  /// Forgets an array or mipmapped array, with planes and levels.
  void drop(uint64_t handle) {
    arrays.drop_if([&](uint64_t one, const Array& array) { return one == handle || array.owner == handle; });
    mipmaps.drop(handle);
  }
  /// Forgets what lived in a context; its bytes.
  uint64_t forget_context(uint64_t context) {
    uint64_t freed = 0;
    const auto goes = [&](uint64_t, const auto& one) {
      if (one.context == context) freed += one.charged;
      return one.context == context;
    };
    arrays.drop_if(goes);
    mipmaps.drop_if(goes);
    return freed;
  }
};

/// Numbers that the driver gave out. It numbers the objects of each context on its own.
class ObjectNumbers {
 public:
  bool is_full() const { return numbers_.size() >= kMostTextures; }
  void add(uint64_t context, uint64_t object) { numbers_.emplace(context, object); }
  bool contains(uint64_t context, uint64_t object) const { return numbers_.contains({context, object}); }
  void remove(uint64_t context, uint64_t object) { numbers_.erase({context, object}); }
  void forget_context(uint64_t context) {
    std::erase_if(numbers_, [&](const auto& one) { return one.first == context; });
  }

 private:
  std::set<std::pair<uint64_t, uint64_t>> numbers_;  // (context, object)
};

}  // namespace vgpu::worker
