#include "shim/client/code_objects.hpp"

#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shim/client/context_end.hpp"
#include "shim/client/functions.hpp"
#include "shim/client/handles.hpp"

namespace vgpu::shim::code_objects {
namespace {

struct CodeObject {
  CUcontext context = nullptr;
  uint64_t library = 0;
  std::map<std::string, uint64_t, std::less<>> by_name;
  std::vector<uint64_t> by_index;
  std::vector<uint64_t> made;  // every handle that came out of it and is not in in_context, aliases included
  std::optional<uint32_t> count;
  std::map<std::pair<CUcontext, uint64_t>, uint64_t> in_context;  // (context, kernel or 0) -> function or module
};

/// Guards everything here; never held while the worker is asked. Neither is ever destroyed: calls come until the end of
/// the process.
std::mutex mutex;
auto& objects = *new std::unordered_map<uint64_t, CodeObject>;

CodeObject* find(uint64_t handle) {
  const auto found = objects.find(handle);
  return found != objects.end() ? &found->second : nullptr;
}

void remove_locked(uint64_t handle);

/// Something that came out of an object that is gone.
void drop_derived(uint64_t handle) {
  if (wire::kind_of(handle) == wire::Kind::module) {
    remove_locked(handle);
  } else {
    functions::forget(handle);
    handles(wire::kind_of(handle)).discard(handle);
  }
}

void remove_locked(uint64_t handle) {
  auto node = objects.extract(handle);
  if (node.empty()) return;
  for (const auto& [place, derived] : node.mapped().in_context) drop_derived(derived);
  for (const uint64_t derived : node.mapped().made) drop_derived(derived);
  handles(wire::kind_of(handle)).discard(handle);
}

}  // namespace

void add(uint64_t handle, CUcontext context, uint64_t library) {
  watch_context_ends();
  const std::lock_guard lock(mutex);
  CodeObject& made = objects[handle];
  made.context = context;
  made.library = library;
}

bool exists(uint64_t handle) {
  const std::lock_guard lock(mutex);
  return find(handle) != nullptr;
}

void remove(uint64_t handle) {
  const std::lock_guard lock(mutex);
  remove_locked(handle);
}

void forget_context(CUcontext context) {
  const std::lock_guard lock(mutex);
  std::vector<uint64_t> ended;
  for (auto& [handle, object] : objects) {
    if (object.context == context) {
      ended.push_back(handle);
      continue;
    }
    const auto first = object.in_context.lower_bound({context, 0});
    auto last = first;
    for (; last != object.in_context.end() && last->first.first == context; ++last) {
      if (wire::kind_of(last->second) != wire::Kind::function) continue;
      // The worker holds a kernel's function until the library is unloaded: until then the number is not free.
      functions::forget(last->second);
      object.made.push_back(last->second);
    }
    object.in_context.erase(first, last);
  }
  for (const uint64_t handle : ended) remove_locked(handle);
}

uint64_t function_named(uint64_t owner, std::string_view name) {
  const std::lock_guard lock(mutex);
  const CodeObject* object = find(owner);
  if (object == nullptr) return 0;
  const auto found = object->by_name.find(name);
  return found != object->by_name.end() ? found->second : 0;
}

uint64_t function_at(uint64_t owner, uint32_t index) {
  const std::lock_guard lock(mutex);
  const CodeObject* object = find(owner);
  return object != nullptr && index < object->by_index.size() ? object->by_index[index] : 0;
}

uint64_t remember_named(uint64_t owner, const std::string& name, uint64_t handle) {
  const std::lock_guard lock(mutex);
  CodeObject* object = find(owner);
  if (object == nullptr) return handle;
  object->made.push_back(handle);
  return object->by_name.emplace(name, handle).first->second;
}

uint64_t remember_at(uint64_t owner, uint32_t index, const std::string& name, uint64_t handle) {
  const uint64_t used = remember_named(owner, name, handle);
  const std::lock_guard lock(mutex);
  if (CodeObject* object = find(owner)) {
    if (object->by_index.size() <= index) object->by_index.resize(index + 1);
    object->by_index[index] = used;
  }
  return used;
}

std::optional<uint32_t> count_of(uint64_t owner) {
  const std::lock_guard lock(mutex);
  const CodeObject* object = find(owner);
  return object != nullptr ? object->count : std::nullopt;
}

void remember_count(uint64_t owner, uint32_t count) {
  const std::lock_guard lock(mutex);
  if (CodeObject* object = find(owner)) object->count = count;
}

uint64_t in_context(uint64_t library, uint64_t about, CUcontext context) {
  const std::lock_guard lock(mutex);
  const CodeObject* object = find(library);
  if (object == nullptr) return 0;
  const auto found = object->in_context.find({context, about});
  return found != object->in_context.end() ? found->second : 0;
}

uint64_t remember_in_context(uint64_t library, uint64_t about, CUcontext context, uint64_t handle) {
  const std::lock_guard lock(mutex);
  CodeObject* object = find(library);
  if (object == nullptr) return handle;
  const auto [place, added] = object->in_context.emplace(std::pair{context, about}, handle);
  if (!added && place->second != handle) object->made.push_back(handle);
  return place->second;
}

}  // namespace vgpu::shim::code_objects
