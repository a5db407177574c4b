// Device memory, pools, and the extents of the window that the driver may reach.
#include "worker/handlers/graph_counts.hpp"
#include "worker/handlers/graph_memory.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

unsigned device_of(Session& session) { return static_cast<unsigned>(session.context().device); }

bool is_freeable(const Allocations::Range* range) {
  return range != nullptr && (range->kind == Memory::device || range->kind == Memory::pool ||
                              range->kind == Memory::pool_imported || range->kind == Memory::graph);
}

/// The driver's graph of which work in this stream becomes a node; null if the stream is not captured.
CUgraph captured_into(Session& session, uint64_t handle, CUstream stream) {
  constexpr uint64_t kLegacy = 1;
  CUgraph graph = nullptr;
  if (session.context().open_captures != 0 && handle != kLegacy) (void)graph_of_capture(session, stream, graph);
  return graph;
}

}  // namespace

void memory_alloc(Session& session, const api::ops::MemoryAlloc& op, Call& call) {
  if (session.allocations().is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  CUdeviceptr address = 0;
  const CUresult result = session.driver().cuMemAlloc_v2(&address, op.size);
  if (result == CUDA_SUCCESS)
    session.allocations().add(address, {op.size, Memory::device, session.memory_owner(), 0, device_of(session)});
  api::ops::MemoryAllocReply{address}.encode(call.reply());
  call.finish(result);
}

void memory_alloc_pitch(Session& session, const api::ops::MemoryAllocPitch& op, Call& call) {
  const auto allocate = session.driver().cuMemAllocPitch_v2;
  if (session.allocations().is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  CUdeviceptr address = 0;
  size_t pitch = 0;
  const CUresult result =
      allocate == nullptr ? CUDA_ERROR_NOT_SUPPORTED : allocate(&address, &pitch, op.width, op.height, op.element);
  if (result == CUDA_SUCCESS)
    session.allocations().add(address,
                              {pitch * op.height, Memory::device, session.memory_owner(), 0, device_of(session)});
  api::ops::MemoryAllocPitchReply{address, pitch}.encode(call.reply());
  call.finish(result);
}

void memory_free(Session& session, const api::ops::MemoryFree& op, Call& call) {
  const Allocations::Range* range = session.allocations().at(op.address);
  if (!is_freeable(range)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = session.driver().cuMemFree_v2(op.address);
  if (result == CUDA_SUCCESS && is_last_use(session, *range)) session.allocations().remove(op.address);
  call.finish(result);
}

void memory_range(Session& session, const api::ops::MemoryRange& op, Call& call) {
  CUdeviceptr base = 0;
  size_t size = 0;
  const Allocations::Range* range = session.allocations().holding(op.address);
  if (range == nullptr) return call.finish(CUDA_ERROR_NOT_FOUND);
  // The driver knows memory only in the context that it belongs to.
  const bool is_foreign = range->context != 0 && range->context != session.context_handle();
  const uint64_t context = range->context != 0 ? range->context : session.context_handle();
  if (is_foreign && session.enter(context) != CUDA_SUCCESS) return call.finish(CUDA_ERROR_NOT_FOUND);
  const CUresult result = session.driver().cuMemGetAddressRange_v2(&base, &size, op.address);
  api::ops::MemoryRangeReply{base, size, context}.encode(call.reply());
  call.finish(result);
}

void pointer_attribute(Session& session, const api::ops::PointerAttribute& op, Call& call) {
  uint64_t value[4] = {};  // no attribute of those that a guest may ask here is larger
  const auto get = session.driver().cuPointerGetAttribute;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  // Handles and host addresses of this process stay here; so does what needs a larger answer.
  if (op.attribute == CU_POINTER_ATTRIBUTE_CONTEXT || op.attribute == CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE ||
      op.attribute == 5 || !session.allocations().covers(op.address, 1))
    return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = get(value, op.attribute, op.address);
  api::ops::PointerAttributeReply{value[0]}.encode(call.reply());
  call.finish(result);
}

void memory_alloc_async(Session& session, const api::ops::MemoryAllocAsync& op, Call& call) {
  const DriverTable& driver = session.driver();
  CUstream stream = nullptr;
  if (driver.cuMemAllocAsync == nullptr || driver.cuMemAllocFromPoolAsync == nullptr)
    return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (session.allocations().is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  CUdeviceptr address = 0;
  CUmemoryPool pool = nullptr;
  if (op.from.value != 0 && !session.objects().find(op.from.value, pool)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUgraph graph = captured_into(session, op.on.value, stream);
  const CUresult result = pool != nullptr ? driver.cuMemAllocFromPoolAsync(&address, op.size, pool, stream)
                                          : driver.cuMemAllocAsync(&address, op.size, stream);
  if (result == CUDA_SUCCESS) {
    if (graph != nullptr)
      note_graph_memory(session, graph, address, op.size,
                        static_cast<unsigned>(session.context_of(op.on.value).device));
    else
      session.allocations().add(address,
                                {op.size, Memory::pool, session.memory_owner(), 0, session.device_of(address)});
    session.note_pool();
    session.dispatcher().count(op.on.value);
  }
  api::ops::MemoryAllocAsyncReply{address}.encode(call.reply());
  call.finish(result);
}

void memory_free_async(Session& session, const api::ops::MemoryFreeAsync& op, Call& call) {
  const auto free_async = session.driver().cuMemFreeAsync;
  CUstream stream = nullptr;
  if (free_async == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.on.value, stream)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const Allocations::Range* range = session.allocations().at(op.address);
  if (!is_freeable(range)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const bool becomes_node = captured_into(session, op.on.value, stream) != nullptr;
  const CUresult result = free_async(op.address, stream);
  if (result == CUDA_SUCCESS) {
    if (!becomes_node && is_last_use(session, *range)) session.allocations().remove(op.address);
    session.dispatcher().count(op.on.value);
  }
  call.finish(result);
}

void device_pool(Session& session, const api::ops::DevicePool& op, Call& call) {
  const DriverTable& driver = session.driver();
  const auto get = op.current != 0 ? driver.cuDeviceGetMemPool : driver.cuDeviceGetDefaultMemPool;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (const CUresult refused =
          check_new(session, session.objects().pools, op.result.value, "a pool handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUmemoryPool pool = nullptr;
  const CUresult result = get(&pool, static_cast<int>(op.device));
  if (result == CUDA_SUCCESS) session.objects().pools.bind(op.result.value, pool);
  call.finish(result);
}

void pool_get_attribute(Session& session, const api::ops::PoolGetAttribute& op, Call& call) {
  const auto get = session.driver().cuMemPoolGetAttribute;
  CUmemoryPool pool = nullptr;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.id.value, pool)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  uint64_t value[8] = {};  // attributes are int or 64 bits wide, so far
  const CUresult result = get(pool, op.attribute, value);
  api::ops::PoolGetAttributeReply{value[0]}.encode(call.reply());
  call.finish(result);
}

void pool_set_attribute(Session& session, const api::ops::PoolSetAttribute& op, Call& call) {
  const auto set = session.driver().cuMemPoolSetAttribute;
  CUmemoryPool pool = nullptr;
  if (set == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.id.value, pool)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  uint64_t value[8] = {op.value};
  call.finish(set(pool, op.attribute, value));
}

// Extents.

void extent_open(Session& session, const api::ops::ExtentOpen& op, Call& call) {
  const bool aligned = op.offset % VGPU_EXTENT_ALIGN == 0 && op.size % VGPU_EXTENT_ALIGN == 0 && op.size != 0;
  if (!aligned || !session.window().heap_contains(op.offset, op.size))
    return call.finish(session.violation("an extent outside the heap"));
  void* memory = session.window().bytes(op.offset, op.size);
  const auto address = reinterpret_cast<uint64_t>(memory);
  if (session.allocations().overlaps(address, op.size))
    return call.finish(session.violation("an extent that is open already"));
  if (session.allocations().is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  const auto reg = session.driver().cuMemHostRegister_v2;
  const CUresult result = reg == nullptr
                              ? CUDA_ERROR_NOT_SUPPORTED
                              : reg(memory, op.size, CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP);
  if (result == CUDA_SUCCESS) session.allocations().add(address, {op.size, Memory::window, session.memory_owner(), 0});
  call.finish(result);
}

void extent_close(Session& session, const api::ops::ExtentClose& op, Call& call) {
  void* memory = session.window().bytes(op.offset, op.size);
  const Allocations::Range* range =
      memory == nullptr ? nullptr : session.allocations().at(reinterpret_cast<uint64_t>(memory));
  if (range == nullptr || range->kind != Memory::window || range->size != op.size)
    return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = session.driver().cuMemHostUnregister(memory);
  session.allocations().remove(reinterpret_cast<uint64_t>(memory));
  call.finish(result);
}

void heap_grow(Session& session, const api::ops::HeapGrow& op, Call& call) {
  uint64_t window_offset = 0, size = 0;
  ChannelGrowth* growth = session.growth();
  const CUresult result = growth == nullptr ? CUDA_ERROR_OUT_OF_MEMORY : growth->grow(op.size, window_offset, size);
  api::ops::HeapGrowReply{window_offset, size}.encode(call.reply());
  call.finish(result);
}

void heap_shrink(Session& session, const api::ops::HeapShrink& op, Call& call) {
  ChannelGrowth* growth = session.growth();
  const auto& window = session.window();
  if (growth == nullptr || op.size > window.size()) return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (session.allocations().overlaps(window.base() + window.size() - op.size, op.size))
    return call.finish(session.violation("a piece given back that the driver still knows"));
  call.finish(growth->shrink(op.size));
}

}  // namespace vgpu::worker::handlers
