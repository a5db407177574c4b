#include "shim/staging/transfer.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include "shim/client/capture_state.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/flow_control.hpp"
#include "shim/client/registered_memory.hpp"
#include "shim/client/request.hpp"
#include "shim/client/sync_memops.hpp"
#include "shim/staging/captured_copy.hpp"
#include "shim/staging/staging.hpp"

namespace vgpu::shim {
namespace {

constexpr size_t kInlineToDevice = 32768;
constexpr size_t kInlineToHost = 880;

/// Sends the three numbers that most copies consist of.
CUresult send(api::Op op, uint64_t first, uint64_t second, uint64_t size, CUstream stream, bool posted) {
  Request request(op, true);
  request.body().put(first);
  request.body().put(second);
  request.body().put(size);
  request.put(stream);
  return posted ? request.post() : request.call();
}

CUresult to_device_inline(const Transfer& copy) {
  Request request(copy.posted ? api::Op::copy_to_device_inline : api::Op::copy_to_device_inline_wait, true);
  request.body().put(copy.to);
  request.put(copy.stream);
  request.body().put(static_cast<uint32_t>(copy.size));
  const std::span<const uint8_t> data(reinterpret_cast<const uint8_t*>(copy.from), copy.size);
  return copy.posted ? request.post(data) : request.call(data);
}

CUresult to_host_inline(const Transfer& copy) {
  Request request(api::Op::copy_to_host_inline_wait, true);
  request.body().put(copy.from);
  request.body().put(static_cast<uint32_t>(copy.size));
  request.put(copy.stream);
  if (const CUresult result = request.call(); result != CUDA_SUCCESS) return result;
  const wire::Bytes data = request.reply().bytes(kInlineToHost);
  if (data.size() != copy.size) return CUDA_ERROR_UNKNOWN;
  std::memcpy(reinterpret_cast<void*>(copy.to), data.data(), data.size());
  return CUDA_SUCCESS;
}

/// Chunk by chunk; the source may be reused on return.
CUresult to_device_staged(const Transfer& copy) {
  Staging& staging = this_thread_staging();
  for (size_t done = 0; done < copy.size;) {
    const size_t size = std::min(copy.size - done, Staging::kChunkData);
    const bool waits = !copy.posted && done + size == copy.size;
    Chunk* chunk = nullptr;
    if (const CUresult result = staging.acquire(chunk); result != CUDA_SUCCESS) return result;
    std::memcpy(Staging::data_of(*chunk), reinterpret_cast<const uint8_t*>(copy.from) + done, size);
    const uint64_t offset = Staging::offset_of(*chunk);
    const CUresult result = waits ? send(api::Op::copy_to_device_wait, copy.to + done, offset, size, copy.stream, false)
                                  : send(api::Op::copy_to_device, copy.to + done, offset, size, copy.stream, true);
    if (result != CUDA_SUCCESS) return result;
    if (!waits)
      if (const CUresult marked = staging.mark(*chunk, copy.stream); marked != CUDA_SUCCESS) return marked;
    done += size;
  }
  return CUDA_SUCCESS;
}

/// Two chunks: while one is on its way, the other is copied out. Synchronous whatever the call was, as the driver is
/// with pageable memory.
CUresult to_host_staged(const Transfer& copy) {
  Staging& staging = this_thread_staging();
  Chunk* coming = nullptr;  // posted, not yet copied out
  size_t coming_at = 0;
  size_t coming_size = 0;
  auto* const to = reinterpret_cast<uint8_t*>(copy.to);
  for (size_t at = 0; at < copy.size || coming != nullptr;) {
    Chunk* next = nullptr;
    const size_t size = std::min(copy.size - at, Staging::kChunkData);
    if (size != 0) {
      if (const CUresult result = staging.acquire(next); result != CUDA_SUCCESS) return result;
      if (next == coming) {  // only one chunk is to be had, and acquire() has waited for it
        std::memcpy(to + coming_at, Staging::data_of(*coming), coming_size);
        coming = nullptr;
      }
      const bool is_last = at + size == copy.size;
      const CUresult result = send(is_last ? api::Op::copy_to_host_wait : api::Op::copy_to_host,
                                   Staging::offset_of(*next), copy.from + at, size, copy.stream, !is_last);
      if (result != CUDA_SUCCESS) return result;
      if (!is_last)
        if (const CUresult marked = staging.mark(*next, copy.stream); marked != CUDA_SUCCESS) return marked;
    }
    if (coming != nullptr) {
      if (const CUresult result = staging.wait(*coming); result != CUDA_SUCCESS) return result;
      std::memcpy(to + coming_at, Staging::data_of(*coming), coming_size);
    }
    coming = next;
    coming_at = at;
    coming_size = size;
    at += size;
  }
  return CUDA_SUCCESS;
}

CUresult on_host(const Transfer& copy) {
  if (copy.to_where.place == Place::pinned && copy.from_where.place == Place::pinned) {
    const CUresult result =
        send(api::Op::copy_in_window, copy.to_where.offset, copy.from_where.offset, copy.size, copy.stream, true);
    return result == CUDA_SUCCESS && !copy.posted ? synchronize_stream(copy.stream) : result;
  }
  // Pageable memory on either side: the program's own pages, which only this process reaches.
  if (const CUresult result = synchronize_stream(copy.stream); result != CUDA_SUCCESS) return result;
  std::memmove(reinterpret_cast<void*>(copy.to), reinterpret_cast<const void*>(copy.from), copy.size);
  return CUDA_SUCCESS;
}

/// Whether the driver has nothing to object to where this side lies. What it would refuse it refuses at once, so a copy
/// in doubt is one that waits.
bool is_beyond_doubt(const Where& where, uint64_t address, size_t size) {
  return where.place != Place::device || is_program_memory(address, size);
}

CUresult transfer_checked(const Transfer& copy);

}  // namespace

bool is_capturing(CUstream stream) {
  if (capture::open_captures.load(std::memory_order_relaxed) == 0) [[likely]]
    return false;
  uint64_t handle = 0;
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  uint64_t id = 0;
  if (resolve_stream(stream, handle) != CUDA_SUCCESS) return false;
  if (capture::status_of(handle, status, id)) return true;
  // It may have joined a capture through an event: the worker knows.
  Request request(api::ops::StreamCaptureInfo::kOp, api::ops::StreamCaptureInfo::kNeedsContext);
  api::ops::StreamCaptureInfoReply reply;
  return call(request, api::ops::StreamCaptureInfo{{handle}}, reply) == CUDA_SUCCESS &&
         reply.status != CU_STREAM_CAPTURE_STATUS_NONE;
}

CUresult synchronize_stream(CUstream stream) {
  Request request(api::Op::stream_synchronize, true);
  request.put(stream);
  return request.call();
}

CUresult transfer(const Transfer& copy) {
  const Request probe(api::Op::pad, true);
  if (probe.refusal() != CUDA_SUCCESS) return probe.refusal();
  if (copy.size == 0) return CUDA_SUCCESS;
  if (copy.to == 0 || copy.from == 0) return CUDA_ERROR_INVALID_VALUE;
  const Place to = copy.to_where.place;
  const Place from = copy.from_where.place;
  if ((to == Place::pageable && crosses_registrations(copy.to, copy.size)) ||
      (from == Place::pageable && crosses_registrations(copy.from, copy.size)))
    return CUDA_ERROR_INVALID_VALUE;
  if ((to == Place::pageable || from == Place::pageable) && is_capturing(copy.stream)) return capture_copy(copy);
  const bool posted = copy.posted && is_beyond_doubt(copy.to_where, copy.to, copy.size) &&
                      is_beyond_doubt(copy.from_where, copy.from, copy.size);
  if (posted == copy.posted) return transfer_checked(copy);
  Transfer waiting = copy;
  waiting.posted = false;
  return transfer_checked(waiting);
}

namespace {

CUresult transfer_checked(const Transfer& copy) {
  const Place to = copy.to_where.place;
  const Place from = copy.from_where.place;
  if (to != Place::device && from != Place::device) return on_host(copy);
  if (to == Place::device && from == Place::device) {
    if (copy.posted) return send(api::Op::copy_on_device, copy.to, copy.from, copy.size, copy.stream, true);
    const CUresult result = send(api::Op::copy_on_device_sync, copy.to, copy.from, copy.size, copy.stream, false);
    const bool waits = result == CUDA_SUCCESS && (must_synchronize(copy.to) || must_synchronize(copy.from));
    return waits ? synchronize_stream(copy.stream) : result;
  }
  if (to == Place::device) {
    if (from == Place::pinned)
      return send(copy.posted ? api::Op::copy_to_device : api::Op::copy_to_device_wait, copy.to, copy.from_where.offset,
                  copy.size, copy.stream, copy.posted);
    const bool travels_inline = copy.size <= kInlineToDevice && may_stage_in_driver(copy.size);
    return travels_inline ? to_device_inline(copy) : to_device_staged(copy);
  }
  if (to == Place::pinned)
    return send(copy.posted ? api::Op::copy_to_host : api::Op::copy_to_host_wait, copy.to_where.offset, copy.from,
                copy.size, copy.stream, copy.posted);
  return copy.size <= kInlineToHost ? to_host_inline(copy) : to_host_staged(copy);
}

}  // namespace

}  // namespace vgpu::shim
