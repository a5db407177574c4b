#include "shim/staging/captured_copy.hpp"

#include <cstring>

#include "shim/client/host_steps.hpp"
#include "shim/client/request.hpp"
#include "shim/staging/pinned_memory.hpp"

namespace vgpu::shim {
namespace {

/// What the agent does each time the graph gets there. It lives until the process ends: nobody says when the last graph
/// with it is gone.
struct HostCopy {
  void* to;
  const void* from;
  size_t size;
};

void run(void* user) {
  const auto* copy = static_cast<const HostCopy*>(user);
  std::memmove(copy->to, copy->from, copy->size);
}

CUresult capture_step(CUstream stream, void* to, const void* from, size_t size) {
  auto* copy = new HostCopy{to, from, size};
  const CUresult result = send_host_step(stream, {.function = run, .user = copy, .repeats = true});
  if (result != CUDA_SUCCESS) delete copy;
  return result;
}

CUresult capture_device_side(api::Op op, uint64_t first, uint64_t second, const Transfer& copy) {
  Request request(op, true);
  request.body().put(first);
  request.body().put(second);
  request.body().put(static_cast<uint64_t>(copy.size));
  request.put(copy.stream);
  return request.post();
}

}  // namespace

CUresult capture_copy(const Transfer& copy) {
  if (!copy.posted) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  auto* const to = reinterpret_cast<void*>(copy.to);
  const auto* const from = reinterpret_cast<const void*>(copy.from);
  if (copy.to_where.place != Place::device && copy.from_where.place != Place::device)
    return capture_step(copy.stream, to, from, copy.size);
  void* between = nullptr;
  if (const CUresult result = allocate_pinned(copy.size, 0, between); result != CUDA_SUCCESS) return result;
  const uint64_t offset = locate(reinterpret_cast<uint64_t>(between)).offset;
  if (copy.to_where.place == Place::device) {
    const CUresult stepped = capture_step(copy.stream, between, from, copy.size);
    return stepped != CUDA_SUCCESS ? stepped : capture_device_side(api::Op::copy_to_device, copy.to, offset, copy);
  }
  const CUresult copied = capture_device_side(api::Op::copy_to_host, offset, copy.from, copy);
  return copied != CUDA_SUCCESS ? copied : capture_step(copy.stream, to, between, copy.size);
}

}  // namespace vgpu::shim
