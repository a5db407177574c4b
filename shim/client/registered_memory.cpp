#include "shim/client/registered_memory.hpp"

#include <map>
#include <mutex>

#include "shim/client/contexts.hpp"

namespace vgpu::shim {
namespace {

constinit std::mutex g_mutex;
std::map<uintptr_t, RegisteredMemory>& registrations() {
  static auto* const all = new std::map<uintptr_t, RegisteredMemory>;
  return *all;
}

void forget_registrations_of(Context& context) {
  const std::lock_guard lock(g_mutex);
  std::erase_if(registrations(), [&](const auto& item) { return item.second.context == &context; });
}

}  // namespace

CUresult register_memory(void* pointer, size_t size, unsigned flags) {
  after_context_end(&forget_registrations_of);
  const auto base = reinterpret_cast<uintptr_t>(pointer);
  if (base + size < base) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(g_mutex);
  auto next = registrations().lower_bound(base);
  if (next != registrations().end() && next->first < base + size) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  if (next != registrations().begin()) {
    --next;
    if (base - next->first < next->second.size) return CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED;
  }
  registrations()[base] = {base, size, flags, memory_owner(), next_object_id()};
  return CUDA_SUCCESS;
}

CUresult unregister_memory(void* pointer) {
  const auto address = reinterpret_cast<uintptr_t>(pointer);
  {
    const std::lock_guard lock(g_mutex);
    if (registrations().erase(address) != 0) return CUDA_SUCCESS;
  }
  RegisteredMemory around;
  return find_registered(address, around) ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED;
}

bool crosses_registrations(uint64_t address, size_t size) {
  RegisteredMemory first;
  RegisteredMemory last;
  return size != 0 && find_registered(address, first) && find_registered(address + size - 1, last) &&
         first.base != last.base;
}

bool find_registered(uint64_t address, RegisteredMemory& found) {
  const std::lock_guard lock(g_mutex);
  auto next = registrations().upper_bound(address);
  if (next == registrations().begin()) return false;
  const RegisteredMemory& candidate = (--next)->second;
  if (address - candidate.base >= candidate.size) return false;
  found = candidate;
  return true;
}

}  // namespace vgpu::shim
