// Copies and fills. Host memory is named by its offset in the window and is registered with the driver, so no copy
// waits for its stream in the driver; device addresses are checked against what the client owns.
#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

/// The stream and the host side of a copy, checked.
struct Place {
  CUstream stream = nullptr;
  void* host = nullptr;
};

CUresult find_stream(Session& session, uint64_t handle, CUstream& stream) {
  return session.objects().find(handle, stream) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

CUresult check(Session& session, uint64_t stream, uint64_t offset, uint64_t device, uint64_t size, Place& place) {
  const CUresult found = find_stream(session, stream, place.stream);
  if (found != CUDA_SUCCESS) return found;
  if (!session.window().heap_contains(offset, size)) return session.violation("a copy outside the window's heap");
  place.host = session.window().bytes(offset, size);
  // Memory that no extent covers would be pageable to the driver, and the copy would wait inside it.
  if (!session.allocations().covers(reinterpret_cast<uint64_t>(place.host), size)) return CUDA_ERROR_INVALID_VALUE;
  return session.allocations().covers(device, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult to_device(Session& session, uint64_t stream, uint64_t to, uint64_t offset, uint64_t size) {
  Place place;
  CUresult result = check(session, stream, offset, to, size, place);
  if (result != CUDA_SUCCESS) return result;
  result = session.driver().cuMemcpyHtoDAsync_v2(to, place.host, size, place.stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(stream);
  return result;
}

CUresult to_host(Session& session, uint64_t stream, uint64_t offset, uint64_t from, uint64_t size) {
  Place place;
  CUresult result = check(session, stream, offset, from, size, place);
  if (result != CUDA_SUCCESS) return result;
  result = session.driver().cuMemcpyDtoHAsync_v2(place.host, from, size, place.stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(stream);
  return result;
}

CUresult on_device(Session& session, uint64_t stream, uint64_t to, uint64_t from, uint64_t size) {
  CUstream real = nullptr;
  const CUresult found = find_stream(session, stream, real);
  if (found != CUDA_SUCCESS) return found;
  if (!session.allocations().covers(to, size) || !session.allocations().covers(from, size))
    return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = session.driver().cuMemcpyDtoDAsync_v2(to, from, size, real);
  if (result == CUDA_SUCCESS) session.dispatcher().count(stream);
  return result;
}

/// Bytes of a pageable source that the driver takes before it returns (it stages up to 4 MiB behind a busy stream).
CUresult inline_to_device(Session& session, uint64_t stream, uint64_t to, wire::Bytes data) {
  CUstream real = nullptr;
  const CUresult found = find_stream(session, stream, real);
  if (found != CUDA_SUCCESS) return found;
  if (!session.allocations().covers(to, data.size())) return CUDA_ERROR_INVALID_VALUE;
  const CUresult result = session.driver().cuMemcpyHtoDAsync_v2(to, data.data(), data.size(), real);
  if (result == CUDA_SUCCESS) session.dispatcher().count(stream);
  return result;
}

void finish_after(Session& session, Call& call, uint64_t stream, CUresult submitted) {
  if (submitted != CUDA_SUCCESS) return call.finish(submitted);
  session.dispatcher().finish_after_copy(call, stream);
}

/// First byte to last byte + 1 of a rectangle; false if that overflows, or if its rows would overlap.
bool extent_of(uint64_t pitch, uint64_t width, uint64_t height, uint64_t& size) {
  if (width == 0 || height == 0) {
    size = 0;
    return true;
  }
  if (height > 1 && pitch < width) return false;
  uint64_t rows = 0;
  return !__builtin_mul_overflow(pitch, height - 1, &rows) && !__builtin_add_overflow(rows, width, &size);
}

CUresult set_row(const DriverTable& driver, uint64_t to, uint32_t value, uint32_t element, uint64_t width,
                 CUstream stream) {
  if (element == 1) return driver.cuMemsetD8Async(to, static_cast<unsigned char>(value), width, stream);
  if (element == 2) return driver.cuMemsetD16Async(to, static_cast<unsigned short>(value), width, stream);
  return driver.cuMemsetD32Async(to, value, width, stream);
}

template <typename Op>
CUresult set_rows(const DriverTable& driver, const Op& op, CUstream stream) {
  if (driver.cuMemsetD2D8Async == nullptr || driver.cuMemsetD2D16Async == nullptr ||
      driver.cuMemsetD2D32Async == nullptr)
    return CUDA_ERROR_NOT_SUPPORTED;
  if (op.element == 1)
    return driver.cuMemsetD2D8Async(op.to, op.pitch, static_cast<unsigned char>(op.value), op.width, op.height, stream);
  if (op.element == 2)
    return driver.cuMemsetD2D16Async(op.to, op.pitch, static_cast<unsigned short>(op.value), op.width, op.height,
                                     stream);
  return driver.cuMemsetD2D32Async(op.to, op.pitch, op.value, op.width, op.height, stream);
}

/// Fill or FillSync.
template <typename Op>
CUresult fill_rectangle(Session& session, const Op& op) {
  CUstream stream = nullptr;
  const CUresult found = find_stream(session, op.on.value, stream);
  if (found != CUDA_SUCCESS) return found;
  uint64_t row = 0, size = 0;
  if ((op.element != 1 && op.element != 2 && op.element != 4) || __builtin_mul_overflow(op.width, op.element, &row) ||
      !extent_of(op.pitch, row, op.height, size))
    return CUDA_ERROR_INVALID_VALUE;
  if (!session.allocations().covers(op.to, size)) return CUDA_ERROR_INVALID_VALUE;
  // No rows: the width was not looked at either.
  const uint64_t width = size == 0 ? 0 : op.width;
  const CUresult result = op.height <= 1 ? set_row(session.driver(), op.to, op.value, op.element, width, stream)
                                         : set_rows(session.driver(), op, stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  return result;
}

}  // namespace

void copy_to_device(Session& session, const api::ops::CopyToDevice& op, Call& call) {
  call.finish(to_device(session, op.on.value, op.to, op.offset, op.size));
}

void copy_to_device_wait(Session& session, const api::ops::CopyToDeviceWait& op, Call& call) {
  finish_after(session, call, op.on.value, to_device(session, op.on.value, op.to, op.offset, op.size));
}

void copy_to_host(Session& session, const api::ops::CopyToHost& op, Call& call) {
  call.finish(to_host(session, op.on.value, op.offset, op.from, op.size));
}

void copy_to_host_wait(Session& session, const api::ops::CopyToHostWait& op, Call& call) {
  finish_after(session, call, op.on.value, to_host(session, op.on.value, op.offset, op.from, op.size));
}

void copy_on_device(Session& session, const api::ops::CopyOnDevice& op, Call& call) {
  call.finish(on_device(session, op.on.value, op.to, op.from, op.size));
}

void copy_on_device_sync(Session& session, const api::ops::CopyOnDeviceSync& op, Call& call) {
  call.finish(on_device(session, op.on.value, op.to, op.from, op.size));
}

void copy_in_window(Session& session, const api::ops::CopyInWindow& op, Call& call) {
  const shm::Window& window = session.window();
  if (!window.heap_contains(op.to_offset, op.size) || !window.heap_contains(op.from_offset, op.size))
    return call.finish(session.violation("a copy outside the window's heap"));
  call.finish(on_device(session, op.on.value, window.base() + op.to_offset, window.base() + op.from_offset, op.size));
}

void copy_to_device_inline(Session& session, const api::ops::CopyToDeviceInline& op, Call& call) {
  call.finish(inline_to_device(session, op.on.value, op.to, op.data));
}

void copy_to_device_inline_wait(Session& session, const api::ops::CopyToDeviceInlineWait& op, Call& call) {
  finish_after(session, call, op.on.value, inline_to_device(session, op.on.value, op.to, op.data));
}

void copy_to_host_inline_wait(Session& session, const api::ops::CopyToHostInlineWait& op, Call& call) {
  CUstream stream = nullptr;
  if (op.size > 880) return call.finish(session.violation("an inline copy that is too large"));
  const CUresult found = find_stream(session, op.on.value, stream);
  if (found != CUDA_SUCCESS) return call.finish(found);
  if (!session.allocations().covers(op.from, op.size)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  session.register_control_area();
  // The GPU writes the bytes behind their length in the reply slot: no copy of ours is between.
  call.reply().put(op.size);
  void* to = session.window().bytes(shm::slot_offset(call.header().slot) + offsetof(vgpu_slot, data) + sizeof(uint32_t),
                                    op.size);
  const CUresult result = session.driver().cuMemcpyDtoHAsync_v2(to, op.from, op.size, stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.set_direct(op.size);
  finish_after(session, call, op.on.value, result);
}

void copy_2d(Session& session, const api::ops::Copy2d& op, Call& call) {
  const auto copy = session.driver().cuMemcpy2DAsync_v2;
  CUstream stream = nullptr;
  if (copy == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  const CUresult found = find_stream(session, op.on.value, stream);
  if (found != CUDA_SUCCESS) return call.finish(found);
  // To the driver no pitch means: no space between the rows.
  const uint64_t to_pitch = op.to_pitch != 0 ? op.to_pitch : op.width;
  const uint64_t from_pitch = op.from_pitch != 0 ? op.from_pitch : op.width;
  uint64_t to_size = 0, from_size = 0;
  const shm::Window& window = session.window();
  if (!extent_of(to_pitch, op.width, op.height, to_size) || !extent_of(from_pitch, op.width, op.height, from_size))
    return call.finish(CUDA_ERROR_INVALID_VALUE);
  if ((op.to_is_window != 0 && !window.heap_contains(op.to, to_size)) ||
      (op.from_is_window != 0 && !window.heap_contains(op.from, from_size)))
    return call.finish(session.violation("a copy outside the window's heap"));
  // Window memory is reached by its device address, which equals its host address.
  const uint64_t to = op.to_is_window != 0 ? window.base() + op.to : op.to;
  const uint64_t from = op.from_is_window != 0 ? window.base() + op.from : op.from;
  if (!session.allocations().covers(to, to_size) || !session.allocations().covers(from, from_size))
    return call.finish(CUDA_ERROR_INVALID_VALUE);
  CUDA_MEMCPY2D what{};
  what.srcMemoryType = op.from_is_window != 0 ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
  what.srcHost = reinterpret_cast<const void*>(from);
  what.srcDevice = from;
  what.srcPitch = from_pitch;
  what.dstMemoryType = op.to_is_window != 0 ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
  what.dstHost = reinterpret_cast<void*>(to);
  what.dstDevice = to;
  what.dstPitch = to_pitch;
  what.WidthInBytes = op.width;
  what.Height = op.height;
  const CUresult result = copy(&what, stream);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  call.finish(result);
}

void fill(Session& session, const api::ops::Fill& op, Call& call) { call.finish(fill_rectangle(session, op)); }

void fill_sync(Session& session, const api::ops::FillSync& op, Call& call) { call.finish(fill_rectangle(session, op)); }

void staging_mark(Session& session, const api::ops::StagingMark& op, Call& call) {
  if (op.word_offset % sizeof(uint32_t) != 0 || !session.window().heap_contains(op.word_offset, sizeof(uint32_t)))
    return call.finish(session.violation("a mark outside the window's heap"));
  call.finish(session.dispatcher().mark_after_stream(op.on.value, op.word_offset, op.value));
}

}  // namespace vgpu::worker::handlers
