#include "shim/staging/extents.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "shim/client/channel.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/request.hpp"
#include "shim/staging/heap.hpp"

namespace vgpu::shim {
namespace {

using base::RangeAllocator;

constinit std::mutex g_extents_mutex;  // guards extents()

std::vector<Extent*>& extents() {
  static auto* const all = new std::vector<Extent*>;
  return *all;
}

CUresult register_extent(Extent& extent) {
  const std::lock_guard lock(extent.mutex);
  if (extent.open.load(std::memory_order_relaxed)) return CUDA_SUCCESS;  // another thread was faster
  Context* context = memory_owner();
  const CUresult result = call(api::ops::ExtentOpen{extent.offset, extent.size});
  if (result != CUDA_SUCCESS) return result;
  extent.context.store(context, std::memory_order_relaxed);
  extent.open.store(true, std::memory_order_release);
  return CUDA_SUCCESS;
}

CUresult unregister_extent(Extent& extent) {
  const std::lock_guard lock(extent.mutex);
  if (!extent.open.exchange(false, std::memory_order_acq_rel)) return CUDA_SUCCESS;
  return call(api::ops::ExtentClose{extent.offset, extent.size});
}

std::vector<Extent*> extents_of(const Context& context) {
  std::vector<Extent*> found;
  const std::lock_guard lock(g_extents_mutex);
  for (Extent* extent : extents())
    if (extent->context.load(std::memory_order_relaxed) == &context) found.push_back(extent);
  return found;
}

/// Memory that goes on being used (staging of threads) is registered again on its next use, in another context.
void close_extents_of(Context& context) {
  for (Extent* extent : extents_of(context)) unregister_extent(*extent);
}

/// Another thread may have registered one again while its context ended; the registration ended with it.
void forget_extents_of(Context& context) {
  for (Extent* extent : extents_of(context)) {
    const std::lock_guard lock(extent->mutex);
    if (extent->context.load(std::memory_order_relaxed) == &context)
      extent->open.store(false, std::memory_order_release);
  }
}

}  // namespace

CUresult open_extent(uint64_t size, Extent*& extent) {
  before_context_end(&close_extents_of);
  after_context_end(&forget_extents_of);
  if (size > ~uint64_t{0} - VGPU_EXTENT_ALIGN) return CUDA_ERROR_OUT_OF_MEMORY;
  size = (size + VGPU_EXTENT_ALIGN - 1) & ~uint64_t{VGPU_EXTENT_ALIGN - 1};
  const uint64_t offset = take_heap(size);
  if (offset == RangeAllocator::kNone)
    return open_channel() == nullptr ? CUDA_ERROR_NOT_INITIALIZED : CUDA_ERROR_OUT_OF_MEMORY;
  auto* made = new Extent;
  made->offset = offset;
  made->size = size;
  if (const CUresult result = register_extent(*made); result != CUDA_SUCCESS) {
    give_back_heap(offset);
    delete made;
    return result;
  }
  {
    const std::lock_guard lock(g_extents_mutex);
    extents().push_back(made);
  }
  extent = made;
  return CUDA_SUCCESS;
}

CUresult reopen_extent(Extent& extent) {
  if (extent.open.load(std::memory_order_acquire)) [[likely]]
    return CUDA_SUCCESS;
  return register_extent(extent);
}

CUresult close_extent(Extent* extent) {
  const CUresult result = unregister_extent(*extent);
  {
    const std::lock_guard lock(g_extents_mutex);
    std::erase(extents(), extent);
  }
  // Memory that the driver may still know is never given to anybody else.
  if (result == CUDA_SUCCESS) give_back_heap(extent->offset);
  delete extent;
  return result;
}

}  // namespace vgpu::shim
