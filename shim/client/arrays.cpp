#include "shim/client/arrays.hpp"

#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "shim/client/contexts.hpp"
#include "shim/client/handles.hpp"

namespace vgpu::shim::arrays {
namespace {

// Never destroyed: calls come until the end of the process.
std::shared_mutex& mutex = *new std::shared_mutex;
auto& known = *new std::map<uint64_t, ArrayInfo>;
auto& parts = *new std::map<std::pair<uint64_t, unsigned>, uint64_t>;  // (owner, index) -> handle

void remove_if(auto goes) {
  const std::unique_lock lock(mutex);
  std::erase_if(parts, [&](const auto& part) { return goes(part.first.first, known[part.first.first]); });
  std::erase_if(known, [&](const auto& one) {
    if (!goes(one.first, one.second)) return false;
    handles(wire::kind_of(one.first)).discard(one.first);
    return true;
  });
}

void forget_context(Context& context) {
  remove_if([&](uint64_t, const ArrayInfo& info) { return info.context == &context; });
}

}  // namespace

void add(uint64_t handle, const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  after_context_end(&forget_context);
  const std::unique_lock lock(mutex);
  known[handle] = {shape, current_context(), 0};
}

bool find(uint64_t handle, ArrayInfo& found) {
  const std::shared_lock lock(mutex);
  const auto entry = known.find(handle);
  if (entry == known.end()) return false;
  found = entry->second;
  return true;
}

uint64_t part_of(uint64_t owner, unsigned index) {
  const std::shared_lock lock(mutex);
  const auto entry = parts.find({owner, index});
  return entry != parts.end() ? entry->second : 0;
}

uint64_t add_part(uint64_t owner, unsigned index, uint64_t handle, const CUDA_ARRAY3D_DESCRIPTOR& shape) {
  const std::unique_lock lock(mutex);
  const auto whole = known.find(owner);
  // Two threads may have asked at once: the worker holds both numbers until the whole is gone.
  ArrayInfo info{shape, current_context(), owner};
  if (whole != known.end()) {
    info.context = whole->second.context;
    if (whole->second.owner != 0) info.owner = whole->second.owner;  // a plane of a level goes with all levels
  }
  known[handle] = info;
  return parts.emplace(std::pair{owner, index}, handle).first->second;
}

void remove(uint64_t handle) {
  remove_if([&](uint64_t one, const ArrayInfo& info) { return one == handle || info.owner == handle; });
}

}  // namespace vgpu::shim::arrays
