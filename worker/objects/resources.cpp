#include "worker/objects/resources.hpp"

namespace vgpu::worker {

uint64_t Resources::keep(const std::vector<CUdevResource>& made) {
  const uint64_t number = first_ + kept_.size();
  kept_.insert(kept_.end(), made.begin(), made.end());
  for (; kept_.size() > kMostResources; ++first_) kept_.pop_front();
  return number;
}

const CUdevResource* Resources::find(uint64_t number) const {
  return number >= first_ && number - first_ < kept_.size() ? &kept_[number - first_] : nullptr;
}

uint64_t Resources::describe(const std::vector<uint64_t>& numbers, CUdevResourceDesc made) {
  if (!may_describe()) return 0;
  descriptions_.push_back(made);
  return known_[numbers] = descriptions_.size();
}

uint64_t Resources::described(const std::vector<uint64_t>& numbers) const {
  const auto found = known_.find(numbers);
  return found == known_.end() ? 0 : found->second;
}

CUdevResourceDesc Resources::description(uint64_t number) const {
  return number == 0 || number > descriptions_.size() ? nullptr : descriptions_[number - 1];
}

}  // namespace vgpu::worker
