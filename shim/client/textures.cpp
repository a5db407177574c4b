#include "shim/client/textures.hpp"

#include <map>
#include <mutex>
#include <tuple>

#include "shim/client/contexts.hpp"
#include "shim/client/handles.hpp"

namespace vgpu::shim::textures {
namespace {

using Key = std::tuple<const Context*, Kind, uint64_t>;

struct Reference {
  const Context* context = nullptr;
  uint64_t module = 0;
  Bound bound;
};

// Never destroyed: calls come until the end of the process.
std::mutex& mutex = *new std::mutex;
auto& objects = *new std::map<Key, ObjectInfo>;
auto& references = *new std::map<uint64_t, Reference>;

void forget_context(Context& context) {
  const std::lock_guard lock(mutex);
  std::erase_if(objects, [&](const auto& one) { return std::get<0>(one.first) == &context; });
  std::erase_if(references, [&](const auto& one) {
    if (one.second.context != &context) return false;
    // Handles of a module's references come back with the module (code_objects.hpp).
    if (one.second.module == 0) handles(wire::kind_of(one.first)).discard(one.first);
    return true;
  });
}

}  // namespace

void add(Kind kind, uint64_t object, const ObjectInfo& info) {
  after_context_end(&forget_context);
  const std::lock_guard lock(mutex);
  objects[{current_context(), kind, object}] = info;
}

bool find(Kind kind, uint64_t object, ObjectInfo& found) {
  const std::lock_guard lock(mutex);
  const auto entry = objects.find({current_context(), kind, object});
  if (entry == objects.end()) return false;
  found = entry->second;
  return true;
}

void remove(Kind kind, uint64_t object) {
  const std::lock_guard lock(mutex);
  objects.erase({current_context(), kind, object});
}

void add_reference(uint64_t handle, uint64_t module) {
  after_context_end(&forget_context);
  const std::lock_guard lock(mutex);
  references.insert_or_assign(handle, Reference{current_context(), module, {}});
}

bool find_reference(uint64_t handle, Bound& bound, uint64_t& module) {
  const std::lock_guard lock(mutex);
  const auto entry = references.find(handle);
  if (entry == references.end()) return false;
  bound = entry->second.bound;
  module = entry->second.module;
  return true;
}

void bind_reference(uint64_t handle, const Bound& bound) {
  const std::lock_guard lock(mutex);
  if (const auto entry = references.find(handle); entry != references.end()) entry->second.bound = bound;
}

void remove_reference(uint64_t handle) {
  const std::lock_guard lock(mutex);
  if (references.erase(handle) != 0) handles(wire::kind_of(handle)).discard(handle);
}

void forget_module(uint64_t module) {
  const std::lock_guard lock(mutex);
  std::erase_if(references, [&](const auto& one) { return one.second.module == module; });
}

}  // namespace vgpu::shim::textures
