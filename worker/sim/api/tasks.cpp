#include "worker/sim/api/tasks.hpp"

#include <cstring>
#include <limits>

#include "common/api/array_shape.hpp"

namespace vgpu::sim::api {

using device::Area;
using device::ChildParameters;
using device::EventParameters;
using device::Place;
using device::place_of;

namespace {

/// The fields of CUDA_MEMCPY3D that belong to an end.
struct End {
  CUmemorytype type;
  std::uint64_t host, device;
  std::uint64_t x, y, z, pitch, height;
  CUarray array;
};

std::uint64_t address(const void* at) { return reinterpret_cast<std::uint64_t>(at); }

/// a * b + c, or the largest number if that does not fit.
std::uint64_t scaled(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
  std::uint64_t out = 0;
  const bool fits = !__builtin_mul_overflow(a, b, &out) && !__builtin_add_overflow(out, c, &out);
  return fits ? out : std::numeric_limits<std::uint64_t>::max();
}

CUresult read_array(const End& end, const BoxSize& size, Box& out) {
  const auto array = Simulator::get().arrays.find(end.array);
  if (array == nullptr) return end.array == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
  if (!contains_box(array->shape, end.x, end.y, end.z, size.width, size.height, size.depth))
    return CUDA_ERROR_INVALID_VALUE;
  const auto& texels = array->texels;
  out.slice = texels.slice;
  out.rows = {texels.address + end.z * texels.slice + end.y * texels.pitch + end.x, texels.pitch};
  return CUDA_SUCCESS;
}

CUresult read_end(const End& end, const BoxSize& size, Box& out) {
  if (end.type == CU_MEMORYTYPE_ARRAY) return read_array(end, size, out);
  if (end.type != CU_MEMORYTYPE_HOST && end.type != CU_MEMORYTYPE_DEVICE && end.type != CU_MEMORYTYPE_UNIFIED)
    return CUDA_ERROR_INVALID_VALUE;
  constexpr std::uint64_t most = 1ull << 40;
  for (const std::uint64_t number : {end.x, end.y, end.z, end.pitch, end.height, size.width, size.height, size.depth})
    if (number > most) return CUDA_ERROR_INVALID_VALUE;
  if (end.pitch != 0 && end.pitch < end.x + size.width) return CUDA_ERROR_INVALID_VALUE;
  if (end.height != 0 && end.height < end.y + size.height) return CUDA_ERROR_INVALID_VALUE;
  const std::uint64_t pitch = end.pitch != 0 ? end.pitch : end.x + size.width;
  const std::uint64_t height = end.height != 0 ? end.height : end.y + size.height;
  const std::uint64_t slice = scaled(pitch, height, 0);
  const std::uint64_t offset = scaled(end.z, slice, end.y * pitch + end.x);
  const std::uint64_t span = scaled(size.depth - 1, slice, (size.height - 1) * pitch + size.width);
  const std::uint64_t base = end.type == CU_MEMORYTYPE_HOST ? end.host : end.device;
  std::uint64_t last = 0;
  if (base == 0 || __builtin_add_overflow(base, offset, &out.rows.address) ||
      __builtin_add_overflow(out.rows.address, span, &last))
    return CUDA_ERROR_INVALID_VALUE;
  out.rows.pitch = pitch;
  out.slice = slice;
  if (device::is_refused(out.rows.address, span)) return CUDA_ERROR_INVALID_VALUE;
  const bool pageable = place_of(out.rows.address) == Place::pageable;
  return pageable && end.type == CU_MEMORYTYPE_DEVICE ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

}  // namespace

Work box_work(Box to, Box from, BoxSize size) {
  return [=](Context& context) {
    for (std::uint64_t z = 0; z < size.depth && context.error() == CUDA_SUCCESS; ++z)
      device::copy_work(to.at(z), from.at(z), size.width, size.height)(context);
  };
}

namespace {

bool is_zero(const void* at, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(at);
  for (std::size_t i = 0; i < size; ++i)
    if (bytes[i] != 0) return false;
  return true;
}

/// A context that a node names must exist.
CUresult check_context(CUcontext handle) {
  if (handle == nullptr) return lacks_context() ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
  return find_context(handle) == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

}  // namespace

CUresult read_box_copy(const CUDA_MEMCPY3D& given, BoxCopy& out) {
  out.size = {given.WidthInBytes, given.Height, given.Depth};
  if (out.size.is_empty()) return CUDA_SUCCESS;
  const End source{given.srcMemoryType, address(given.srcHost), given.srcDevice, given.srcXInBytes, given.srcY,
                   given.srcZ,          given.srcPitch,         given.srcHeight, given.srcArray};
  const End target{given.dstMemoryType, address(given.dstHost), given.dstDevice, given.dstXInBytes, given.dstY,
                   given.dstZ,          given.dstPitch,         given.dstHeight, given.dstArray};
  if (const CUresult result = read_end(target, out.size, out.to); result != CUDA_SUCCESS) return result;
  return read_end(source, out.size, out.from);
}

CUresult copy_task(const CUDA_MEMCPY3D& given, Task& out) {
  BoxCopy copy;
  if (const CUresult result = read_box_copy(given, copy); result != CUDA_SUCCESS) return result;
  Work work;
  if (!copy.size.is_empty()) work = box_work(copy.to, copy.from, copy.size);
  out = {NodeType::copy, std::move(work), given};
  return CUDA_SUCCESS;
}

CUresult fill_task(const CUDA_MEMSET_NODE_PARAMS& given, Task& out) {
  const std::uint64_t element = given.elementSize;
  if (element != 1 && element != 2 && element != 4) return CUDA_ERROR_INVALID_VALUE;
  std::uint64_t row = 0, span = 0;
  Work work;
  if (given.width != 0 && given.height != 0) {
    if (given.dst % element != 0 || __builtin_mul_overflow(given.width, element, &row)) return CUDA_ERROR_INVALID_VALUE;
    if (given.height > 1 && (given.pitch < row || given.pitch % element != 0)) return CUDA_ERROR_INVALID_VALUE;
    if (__builtin_mul_overflow(given.height - 1, given.pitch, &span) || __builtin_add_overflow(span, row, &span))
      return CUDA_ERROR_INVALID_VALUE;
    if (device::is_refused(given.dst, span) || place_of(given.dst) == Place::pageable) return CUDA_ERROR_INVALID_VALUE;
    work = device::fill_work({given.dst, given.pitch}, given.value, given.elementSize, given.width, given.height);
  }
  out = {NodeType::set, std::move(work), given};
  return CUDA_SUCCESS;
}

CUresult host_task(const CUDA_HOST_NODE_PARAMS& given, Task& out) {
  if (given.fn == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const Work work = [given](Context&) {
    const HostFunctionScope scope;
    given.fn(given.userData);
  };
  out = {NodeType::host, work, given};
  return CUDA_SUCCESS;
}

CUresult event_task(NodeType type, CUevent handle, Task& out) {
  if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
  auto event = Simulator::get().events.find(handle);
  if (event == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  out = {type, {}, EventParameters{std::move(event)}};
  return CUDA_SUCCESS;
}

CUresult child_task(CUgraph handle, bool moves, Task& out) {
  const auto graph = Simulator::get().graphs.find(handle);
  if (graph == nullptr) return handle == nullptr ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
  const std::lock_guard lock(Simulator::get().capture_mutex);
  if (moves && (graph->owned || graph->capturing)) return CUDA_ERROR_INVALID_VALUE;
  if (!moves && graph->uses_memory()) return CUDA_ERROR_NOT_SUPPORTED;
  auto child = moves ? graph : graph->clone();
  child->owned = true;
  out = {NodeType::graph, {}, ChildParameters{std::move(child)}};
  return CUDA_SUCCESS;
}

CUresult task_of(CUgraphNodeParams& given, Task& out) {
  if (!is_zero(given.reserved0, sizeof given.reserved0) || given.reserved2 != 0) return CUDA_ERROR_INVALID_VALUE;
  switch (given.type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      return kernel_task(given.kernel, {}, out);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      if (given.memcpy.flags != 0 || given.memcpy.reserved != 0) return CUDA_ERROR_INVALID_VALUE;
      if (const CUresult result = check_context(given.memcpy.copyCtx); result != CUDA_SUCCESS) return result;
      return copy_task(given.memcpy.copyParams, out);
    case CU_GRAPH_NODE_TYPE_MEMSET: {
      const auto& fill = given.memset;
      if (const CUresult result = check_context(fill.ctx); result != CUDA_SUCCESS) return result;
      return fill_task({fill.dst, fill.pitch, fill.value, fill.elementSize, fill.width, fill.height}, out);
    }
    case CU_GRAPH_NODE_TYPE_HOST:
      return host_task(given.host, out);
    case CU_GRAPH_NODE_TYPE_GRAPH:
      if (given.graph.ownership > CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE) return CUDA_ERROR_INVALID_VALUE;
      return child_task(given.graph.graph, given.graph.ownership == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE, out);
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
      return allocation_task(given.alloc, out);
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
      return free_task(given.free.dptr, out);
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
      if (const CUresult result = check_context(given.memOp.ctx); result != CUDA_SUCCESS) return result;
      return batch_task(given.memOp, out);
    case CU_GRAPH_NODE_TYPE_EMPTY:
      out = {};
      return CUDA_SUCCESS;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
      return event_task(NodeType::wait_event, given.eventWait.event, out);
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      return event_task(NodeType::record_event, given.eventRecord.event, out);
    default:  // 8 to 13: semaphores, memory, batches of words, conditions
      return given.type >= 8 && given.type <= 13 ? CUDA_ERROR_NOT_SUPPORTED : CUDA_ERROR_INVALID_VALUE;
  }
}

CUDA_MEMCPY3D describe_copy(Area to, Area from, std::uint64_t width, std::uint64_t height) {
  CUDA_MEMCPY3D out{};
  const auto kind = [](const Area& area) -> CUmemorytype {
    return place_of(area.address) == Place::device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
  };
  out.dstMemoryType = kind(to);
  out.srcMemoryType = kind(from);
  if (out.dstMemoryType == CU_MEMORYTYPE_DEVICE)
    out.dstDevice = to.address;
  else
    out.dstHost = reinterpret_cast<void*>(to.address);
  if (out.srcMemoryType == CU_MEMORYTYPE_DEVICE)
    out.srcDevice = from.address;
  else
    out.srcHost = reinterpret_cast<const void*>(from.address);
  out.dstPitch = to.pitch != 0 ? to.pitch : width;
  out.srcPitch = from.pitch != 0 ? from.pitch : width;
  out.dstHeight = out.srcHeight = out.Height = height;
  out.WidthInBytes = width;
  out.Depth = 1;
  return out;
}

}  // namespace vgpu::sim::api
