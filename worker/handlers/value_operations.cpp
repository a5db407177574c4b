#include "worker/handlers/value_operations.hpp"

#include <cstring>

#include "common/api/value_width.hpp"

namespace vgpu::worker::handlers {
namespace {

/// One operation of a batch as the driver may have it: its place in memory checked, nothing else in it but what it is
/// made of.
CUresult check(Session& session, CUstreamBatchMemOpParams& operation) {
  const CUstreamBatchMemOpParams given = operation;
  operation = {};
  operation.operation = given.operation;
  const size_t width = api::width_of(given.operation);
  if (width == 0) {
    operation.head.flags = given.head.flags;
    const bool known =
        given.operation == CU_STREAM_MEM_OP_BARRIER || given.operation == CU_STREAM_MEM_OP_FLUSH_REMOTE_WRITES;
    return known ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  }
  operation.value.value = given.value.value;
  operation.value.flags = given.value.flags;
  return find_word(session, given.value.address, given.value.alias != 0, width, operation.value.address);
}

}  // namespace

CUresult find_word(Session& session, uint64_t address, bool in_window, size_t width, CUdeviceptr& word) {
  word = address;
  if (in_window) {
    if (!session.window().heap_contains(address, width)) return session.violation("a value outside the window's heap");
    word = reinterpret_cast<uint64_t>(session.window().bytes(address, width));
  }
  return session.allocations().covers(word, width) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult read_operations(Session& session, wire::Bytes bytes, std::vector<CUstreamBatchMemOpParams>& out) {
  static_assert(sizeof(CUstreamBatchMemOpParams) == 48);
  if (bytes.size() % sizeof(CUstreamBatchMemOpParams) != 0) return session.violation("a batch of a wrong size");
  out.resize(bytes.size() / sizeof(CUstreamBatchMemOpParams));
  if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  for (CUstreamBatchMemOpParams& operation : out)
    if (const CUresult checked = check(session, operation); checked != CUDA_SUCCESS) return checked;
  return CUDA_SUCCESS;
}

CUstreamBatchMemOpParams as_told(Session& session, const CUstreamBatchMemOpParams& operation) {
  CUstreamBatchMemOpParams told{};  // the driver's own part stays here
  told.operation = operation.operation;
  if (api::width_of(operation.operation) == 0) {
    told.head.flags = operation.head.flags;
    return told;
  }
  const uint64_t offset = operation.value.address - session.window().base();
  const bool in_window = offset < session.window().size();
  told.value.address = in_window ? offset : operation.value.address;
  told.value.value = operation.value.value;
  told.value.flags = operation.value.flags;
  told.value.alias = in_window ? 1 : 0;
  return told;
}

}  // namespace vgpu::worker::handlers
