#include "shim/client/handles.hpp"

namespace vgpu::shim {
namespace {
constexpr uint32_t kInUse = 1u << 31;  // above the 24 bits of a generation
}

uint64_t HandleAllocator::make() {
  const std::lock_guard lock(mutex_);
  uint32_t index;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    if (generations_.size() > wire::kMaxIndex) return 0;
    index = static_cast<uint32_t>(generations_.size());
    generations_.push_back(0);
  }
  const uint32_t generation = (generations_[index] + 1) & wire::kMaxGeneration;
  generations_[index] = generation | kInUse;
  return wire::make_handle(kind_, generation, index);
}

void HandleAllocator::discard(uint64_t handle) {
  if (wire::kind_of(handle) != kind_) return;
  const std::lock_guard lock(mutex_);
  const uint32_t index = wire::index_of(handle);
  if (index >= generations_.size() || generations_[index] != (wire::generation_of(handle) | kInUse)) return;
  generations_[index] &= ~kInUse;
  free_.push_back(index);
}

HandleAllocator& handles(wire::Kind kind) {
  // Never destroyed: programs call us while their own statics end.
  static auto* const allocators = [] {
    auto* all = new std::vector<HandleAllocator*>;
    for (unsigned i = 0; i < wire::kKinds; ++i) all->push_back(new HandleAllocator(static_cast<wire::Kind>(i)));
    return all;
  }();
  return *(*allocators)[static_cast<unsigned>(kind)];
}

}  // namespace vgpu::shim
