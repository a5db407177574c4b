// Parts of devices (CUdevResource) and descriptions made of them. What the driver wrote stays here: the guest has
// numbers, so that nothing it sends is taken for the driver's bytes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "worker/objects/limits.hpp"

namespace vgpu::worker {

using namespace vgpu::cuda;

class Resources {
 public:
  /// Keeps resources under numbers that follow each other, and gives the first. They are values that nobody gives back:
  /// beyond the limit the oldest are forgotten.
  uint64_t keep(const std::vector<CUdevResource>& made);
  /// Null if there is none of this number, or if it was forgotten.
  const CUdevResource* find(uint64_t number) const;

  /// The same for what the driver made of a list of resources; 0 if there are too many. Descriptions cannot be given
  /// back to the driver, so a list that was seen before has the one it had.
  uint64_t describe(const std::vector<uint64_t>& numbers, CUdevResourceDesc made);
  uint64_t described(const std::vector<uint64_t>& numbers) const;
  bool may_describe() const { return descriptions_.size() < kMostDescriptions; }
  CUdevResourceDesc description(uint64_t number) const;

 private:
  std::deque<CUdevResource> kept_;
  uint64_t first_ = 1;  // number of the oldest
  std::vector<CUdevResourceDesc> descriptions_;
  std::map<std::vector<uint64_t>, uint64_t> known_;
};

}  // namespace vgpu::worker
