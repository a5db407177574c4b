#include "shim/client/node_sheet.hpp"

#include <cstring>

#include "common/api/value_width.hpp"
#include "shim/client/channel.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/functions.hpp"
#include "shim/client/host_steps.hpp"
#include "shim/client/parameter_block.hpp"
#include "shim/client/value_words.hpp"
#include "shim/staging/staged_copy.hpp"

namespace vgpu::shim {
namespace {

/// One side of a copy, as it travels.
struct Side {
  uint64_t address = 0;
  bool in_window = false;
  uint64_t pitch = 0, rows = 0;
  bool only_guest = false;  ///< memory that the GPU cannot reach at any time: pageable or registered
};

struct Description {
  CUmemorytype type;
  uint64_t host;
  CUdeviceptr device;
  size_t x, y, z, pitch, rows;
};

CUresult locate_side(const Description& what, const CUDA_MEMCPY3D& copy, bool staged, Side& side) {
  if (what.type == CU_MEMORYTYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
  if (what.type < CU_MEMORYTYPE_HOST || what.type > CU_MEMORYTYPE_UNIFIED) return CUDA_ERROR_INVALID_VALUE;
  side.pitch = what.pitch != 0 ? what.pitch : what.x + copy.WidthInBytes;
  side.rows = what.rows != 0 ? what.rows : what.y + copy.Height;
  const bool fits = side.pitch >= what.x + copy.WidthInBytes && (copy.Depth <= 1 || side.rows >= what.y + copy.Height);
  const uint64_t base = what.type == CU_MEMORYTYPE_HOST ? what.host : what.device;
  if (!fits || base == 0) return CUDA_ERROR_INVALID_VALUE;
  side.address = base + (what.z * side.rows + what.y) * side.pitch + what.x;
  const Where where = locate(side.address);
  const bool is_device = where.place == Place::device || what.type == CU_MEMORYTYPE_DEVICE;
  side.only_guest = !is_device && (where.place == Place::pageable || staged);
  side.in_window = where.place == Place::pinned && !side.only_guest;
  if (side.in_window) side.address = where.offset;
  return CUDA_SUCCESS;
}

/// What the guest's part of the copy reads or writes.
GuestArea guest_side(const Side& side) {
  const Channel* channel = open_channel();
  const uint64_t base = side.in_window && channel != nullptr ? channel->window().base() : 0;
  const bool reachable = side.only_guest || side.in_window;
  return {reachable ? base + side.address : 0, side.pitch, side.rows, side.only_guest};
}

template <typename Host>
uint64_t number(Host* host) {
  return reinterpret_cast<uint64_t>(host);
}

}  // namespace

CUresult NodeSheet::describe(const CUDA_KERNEL_NODE_PARAMS_v2& kernel) {
  type_ = CU_GRAPH_NODE_TYPE_KERNEL;
  FunctionInfo* info = kernel.func != nullptr ? functions::find(kernel.func) : functions::find(kernel.kern);
  if (kernel.func == nullptr && kernel.kern == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (info == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (kernel.extra == nullptr || kernel.kernelParams != nullptr) {
    if (const CUresult result = functions::layout(*info); result != CUDA_SUCCESS) return result;
  }
  ParameterBlock block;
  const CUresult result = block.pack(info->parameters, info->parameter_bytes, kernel.kernelParams, kernel.extra);
  if (result != CUDA_SUCCESS) return result;
  put(info->handle);
  for (const unsigned value : {kernel.gridDimX, kernel.gridDimY, kernel.gridDimZ, kernel.blockDimX, kernel.blockDimY,
                               kernel.blockDimZ, kernel.sharedMemBytes})
    put(uint32_t{value});
  const bool one_by_one = kernel.kernelParams != nullptr;
  put(one_by_one ? static_cast<uint32_t>(info->parameters.size()) : 0u);
  for (size_t i = 0; one_by_one && i < info->parameters.size(); ++i) put(info->parameters[i].offset);
  put(static_cast<uint32_t>(block.bytes().size()));
  bytes_.insert(bytes_.end(), block.bytes().begin(), block.bytes().end());
  return CUDA_SUCCESS;
}

CUresult NodeSheet::describe(const CUDA_MEMCPY3D& copy, bool staged) {
  type_ = CU_GRAPH_NODE_TYPE_MEMCPY;
  Side to, from;
  const Description target{copy.dstMemoryType, number(copy.dstHost), copy.dstDevice, copy.dstXInBytes, copy.dstY,
                           copy.dstZ,          copy.dstPitch,        copy.dstHeight};
  const Description source{copy.srcMemoryType, number(copy.srcHost), copy.srcDevice, copy.srcXInBytes, copy.srcY,
                           copy.srcZ,          copy.srcPitch,        copy.srcHeight};
  if (const CUresult result = locate_side(target, copy, staged, to); result != CUDA_SUCCESS) return result;
  if (const CUresult result = locate_side(source, copy, staged, from); result != CUDA_SUCCESS) return result;
  StagedCopyPlan plan;
  if (to.only_guest || from.only_guest) {
    if (const CUresult result = plan_staged_copy(copy, guest_side(to), guest_side(from), plan); result != CUDA_SUCCESS)
      return result;
    Side& staging = to.only_guest ? to : from;
    staging = {plan.staging_offset, true, copy.WidthInBytes, copy.Height};
    host_step_ = plan.step;
  }
  for (const Side& side : {to, from}) {
    put(side.address);
    put(uint32_t{side.in_window});
    put(side.pitch);
    put(side.rows);
  }
  for (const size_t extent : {copy.WidthInBytes, copy.Height, copy.Depth}) put(uint64_t{extent});
  if (plan.step != 0) {
    put(plan.step);
    put(static_cast<uint32_t>(plan.role));
  }
  return CUDA_SUCCESS;
}

CUresult NodeSheet::describe(const CUDA_MEMSET_NODE_PARAMS_v1& fill) {
  type_ = CU_GRAPH_NODE_TYPE_MEMSET;
  const bool element_known = fill.elementSize == 1 || fill.elementSize == 2 || fill.elementSize == 4;
  if (fill.dst == 0 || !element_known) return CUDA_ERROR_INVALID_VALUE;
  put(uint64_t{fill.dst});
  put(uint64_t{fill.height <= 1 ? fill.width * fill.elementSize : fill.pitch});
  put(uint32_t{fill.value});
  put(uint32_t{fill.elementSize});
  put(uint64_t{fill.width});
  put(uint64_t{fill.height});
  return CUDA_SUCCESS;
}

CUresult NodeSheet::describe(const CUDA_HOST_NODE_PARAMS_v1& host) {
  type_ = CU_GRAPH_NODE_TYPE_HOST;
  if (host.fn == nullptr) return CUDA_ERROR_INVALID_VALUE;
  host_step_ = add_host_step({.function = host.fn, .user = host.userData, .repeats = true});
  if (host_step_ == 0) return CUDA_ERROR_OPERATING_SYSTEM;
  put(host_step_);
  return CUDA_SUCCESS;
}

CUresult NodeSheet::describe_graph(CUgraph graph, CUgraphChildGraphNodeOwnership ownership) {
  type_ = CU_GRAPH_NODE_TYPE_GRAPH;
  if (graph == nullptr || ownership > CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE) return CUDA_ERROR_INVALID_VALUE;
  put(number(graph));
  if (ownership != CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE) put(uint32_t{ownership});
  return CUDA_SUCCESS;
}

CUresult NodeSheet::describe(const CUDA_MEM_ALLOC_NODE_PARAMS& allocation) {
  constexpr size_t kMostAccess = 64;
  type_ = CU_GRAPH_NODE_TYPE_MEM_ALLOC;
  const CUmemPoolProps& pool = allocation.poolProps;
  if (allocation.bytesize == 0 || allocation.accessDescCount > kMostAccess ||
      (allocation.accessDescs == nullptr && allocation.accessDescCount != 0))
    return CUDA_ERROR_INVALID_VALUE;
  for (const unsigned value : {pool.allocType, pool.handleTypes, pool.location.type}) put(uint32_t{value});
  put(int32_t{pool.location.id});
  put(uint64_t{allocation.bytesize});
  put(static_cast<uint32_t>(allocation.accessDescCount * sizeof(CUmemAccessDesc)));
  for (size_t i = 0; i < allocation.accessDescCount; ++i) put(allocation.accessDescs[i]);
  return CUDA_SUCCESS;
}

CUresult NodeSheet::describe(const CUDA_BATCH_MEM_OP_NODE_PARAMS& batch) {
  constexpr unsigned kBatchLimit = 256;
  type_ = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP;
  if (batch.flags != 0 || batch.count >= kBatchLimit || (batch.paramArray == nullptr && batch.count != 0))
    return CUDA_ERROR_INVALID_VALUE;
  put(uint32_t{batch.flags});
  put(static_cast<uint32_t>(batch.count * sizeof(CUstreamBatchMemOpParams)));
  for (unsigned i = 0; i < batch.count; ++i) {
    CUstreamBatchMemOpParams operation = batch.paramArray[i];
    if (const size_t width = api::width_of(operation.operation); width != 0) {
      uint64_t word = operation.value.address;
      bool in_window = false;
      if (const CUresult found = find_word(word, width, in_window); found != CUDA_SUCCESS) return found;
      operation.value.address = word;
      operation.value.alias = in_window ? 1 : 0;
    }
    put(operation);
  }
  return CUDA_SUCCESS;
}

CUresult NodeSheet::describe_free(CUdeviceptr address) {
  type_ = CU_GRAPH_NODE_TYPE_MEM_FREE;
  put(uint64_t{address});
  return CUDA_SUCCESS;
}

CUresult NodeSheet::describe_event(CUevent event) {
  if (event == nullptr) return CUDA_ERROR_INVALID_VALUE;
  put(number(event));
  return CUDA_SUCCESS;
}

CUresult NodeSheet::describe(const CUDA_CONDITIONAL_NODE_PARAMS& conditional, std::span<const uint64_t> bodies) {
  type_ = CU_GRAPH_NODE_TYPE_CONDITIONAL;
  put(uint64_t{conditional.handle});
  put(uint32_t{conditional.type});
  put(static_cast<uint32_t>(bodies.size()));
  for (const uint64_t body : bodies) put(body);
  return CUDA_SUCCESS;
}

void NodeSheet::discard() {
  if (host_step_ != 0 && type_ == CU_GRAPH_NODE_TYPE_MEMCPY)
    drop_staged_copy(host_step_);
  else if (host_step_ != 0)
    drop_host_step(host_step_);
  host_step_ = 0;
}

bool read_sheet(wire::Bytes bytes, KernelSheet& kernel) {
  wire::Reader in(bytes);
  auto& params = kernel.params;
  params = {};
  const auto function = in.take<uint64_t>();
  if (wire::kind_of(function) == wire::Kind::kernel)
    params.kern = reinterpret_cast<CUkernel>(function);
  else
    params.func = reinterpret_cast<CUfunction>(function);
  for (unsigned* value : {&params.gridDimX, &params.gridDimY, &params.gridDimZ, &params.blockDimX, &params.blockDimY,
                          &params.blockDimZ, &params.sharedMemBytes})
    *value = in.take<uint32_t>();
  if (in.take<uint32_t>() != 0) return false;
  const wire::Bytes block = in.bytes(ParameterBlock::kMost);
  kernel.block.assign(block.begin(), block.end());
  return in.complete();
}

bool read_sheet(wire::Bytes bytes, CUDA_MEMCPY3D& copy) {
  const Channel* channel = open_channel();
  wire::Reader in(bytes);
  copy = {};
  const auto take_side = [&](CUmemorytype& type, uint64_t& address, size_t& pitch, size_t& rows) {
    address = in.take<uint64_t>();
    const bool in_window = in.take<uint32_t>() != 0;
    type = in_window ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
    if (in_window && channel != nullptr) address += channel->window().base();
    pitch = in.take<uint64_t>();
    rows = in.take<uint64_t>();
  };
  uint64_t to = 0, from = 0;
  take_side(copy.dstMemoryType, to, copy.dstPitch, copy.dstHeight);
  take_side(copy.srcMemoryType, from, copy.srcPitch, copy.srcHeight);
  if (copy.dstMemoryType == CU_MEMORYTYPE_HOST)
    copy.dstHost = reinterpret_cast<void*>(to);
  else
    copy.dstDevice = to;
  if (copy.srcMemoryType == CU_MEMORYTYPE_HOST)
    copy.srcHost = reinterpret_cast<const void*>(from);
  else
    copy.srcDevice = from;
  for (size_t* extent : {&copy.WidthInBytes, &copy.Height, &copy.Depth}) *extent = in.take<uint64_t>();
  if (in.complete()) return true;
  const auto step = in.take<uint64_t>();
  (void)in.take<uint32_t>();
  return in.complete() && find_staged_copy(step, copy);
}

bool read_sheet(wire::Bytes bytes, CUDA_MEMSET_NODE_PARAMS_v1& fill) {
  wire::Reader in(bytes);
  fill.dst = in.take<uint64_t>();
  fill.pitch = in.take<uint64_t>();
  fill.value = in.take<uint32_t>();
  fill.elementSize = in.take<uint32_t>();
  fill.width = in.take<uint64_t>();
  fill.height = in.take<uint64_t>();
  return in.complete();
}

bool read_sheet(wire::Bytes bytes, CUDA_HOST_NODE_PARAMS_v1& host) {
  wire::Reader in(bytes);
  HostStep step;
  if (!find_host_step(in.take<uint64_t>(), step)) return false;
  host = {step.function, step.user};
  return in.complete();
}

bool read_sheet(wire::Bytes bytes, AllocationSheet& allocation) {
  wire::Reader in(bytes);
  CUDA_MEM_ALLOC_NODE_PARAMS& params = allocation.params;
  params = {};
  for (unsigned* value : {&params.poolProps.allocType, &params.poolProps.handleTypes, &params.poolProps.location.type})
    *value = in.take<uint32_t>();
  params.poolProps.location.id = in.take<int32_t>();
  params.bytesize = in.take<uint64_t>();
  const wire::Bytes access = in.bytes(VGPU_SLOT_DATA);
  allocation.access.resize(access.size() / sizeof(CUmemAccessDesc));
  if (!access.empty()) std::memcpy(allocation.access.data(), access.data(), access.size());
  params.accessDescCount = allocation.access.size();
  params.dptr = in.take<uint64_t>();
  return in.complete();
}

bool read_sheet(wire::Bytes bytes, CUdeviceptr& address) {
  wire::Reader in(bytes);
  address = in.take<uint64_t>();
  return in.complete();
}

bool read_sheet(wire::Bytes bytes, BatchSheet& batch) {
  const Channel* channel = open_channel();
  wire::Reader in(bytes);
  batch.context = reinterpret_cast<CUcontext>(in.take<uint64_t>());
  batch.flags = in.take<uint32_t>();
  const wire::Bytes operations = in.bytes(VGPU_SLOT_DATA);
  batch.operations.resize(operations.size() / sizeof(CUstreamBatchMemOpParams));
  if (!batch.operations.empty()) std::memcpy(batch.operations.data(), operations.data(), operations.size());
  for (CUstreamBatchMemOpParams& operation : batch.operations) {
    if (api::width_of(operation.operation) == 0 || operation.value.alias == 0 || channel == nullptr) continue;
    operation.value.address += channel->window().base();
    operation.value.alias = 0;
  }
  return in.complete();
}

bool read_sheet(wire::Bytes bytes, CUevent& event) {
  wire::Reader in(bytes);
  event = reinterpret_cast<CUevent>(in.take<uint64_t>());
  return in.complete();
}

}  // namespace vgpu::shim
