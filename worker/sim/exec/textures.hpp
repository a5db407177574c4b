// What kernels read and write through: elements in rows of slices, and how textures look at them. Thread-safe: made and
// ended by the program while kernels run.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/api/cuda_types.hpp"

namespace vgpu::sim::exec {

/// Elements in device memory.
struct Texels {
  std::uint64_t address = 0;
  std::uint64_t pitch = 0;  ///< bytes from row to row
  std::uint64_t slice = 0;  ///< bytes from slice to slice
  std::uint32_t width = 1, height = 1, depth = 1;
  std::uint32_t element = 0;  ///< bytes
  unsigned format = 0;
  unsigned channels = 1;

  std::uint64_t row_bytes() const { return std::uint64_t{width} * element; }
  std::uint64_t at(std::uint32_t x, std::uint32_t y, std::uint32_t z) const {
    return address + z * slice + y * pitch + std::uint64_t{x} * element;
  }
};

struct Texture {
  std::vector<Texels> levels;  ///< one, but for mipmapped arrays
  cuda::CUDA_TEXTURE_DESC how{};
  bool linear = false;                  ///< plain memory: elements by their index, nothing outside
  cuda::CUDA_RESOURCE_DESC resource{};  ///< as it was given
};

struct Surface {
  Texels texels;
  cuda::CUDA_RESOURCE_DESC resource{};
};

/// Objects of one kind by their numbers. A number is used once.
template <typename Object>
class ObjectNumbers {
 public:
  std::uint64_t add(std::uint64_t context_id, Object object) {
    const std::unique_lock lock(mutex_);
    objects_[next_] = {context_id, std::make_shared<const Object>(std::move(object))};
    return next_++;
  }
  /// Null if there is none.
  std::shared_ptr<const Object> find(std::uint64_t number) const {
    const std::shared_lock lock(mutex_);
    const auto found = objects_.find(number);
    return found == objects_.end() ? nullptr : found->second.second;
  }
  bool remove(std::uint64_t number) {
    const std::unique_lock lock(mutex_);
    return objects_.erase(number) != 0;
  }
  void forget_context(std::uint64_t context_id) {
    const std::unique_lock lock(mutex_);
    std::erase_if(objects_, [&](const auto& one) { return one.second.first == context_id; });
  }

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<std::uint64_t, std::pair<std::uint64_t, std::shared_ptr<const Object>>> objects_;
  std::uint64_t next_ = 1;
};

struct Textures {
  ObjectNumbers<Texture> textures;
  ObjectNumbers<Surface> surfaces;
};

}  // namespace vgpu::sim::exec
