#include "shim/client/node_sheet.hpp"

#include "shim/client/channel.hpp"
#include "shim/client/device_memory.hpp"
#include "shim/client/functions.hpp"
#include "shim/client/host_steps.hpp"
#include "shim/client/parameter_block.hpp"

namespace vgpu::shim {
namespace {

/// One side of a copy, as it travels.
struct Side {
  uint64_t address = 0;
  bool in_window = false;
  uint64_t pitch = 0, rows = 0;
};

struct Description {
  CUmemorytype type;
  uint64_t host;
  CUdeviceptr device;
  size_t x, y, z, pitch, rows;
};

CUresult locate_side(const Description& what, const CUDA_MEMCPY3D& copy, Side& side) {
  if (what.type == CU_MEMORYTYPE_ARRAY) return CUDA_ERROR_NOT_SUPPORTED;
  if (what.type < CU_MEMORYTYPE_HOST || what.type > CU_MEMORYTYPE_UNIFIED) return CUDA_ERROR_INVALID_VALUE;
  side.pitch = what.pitch != 0 ? what.pitch : what.x + copy.WidthInBytes;
  side.rows = what.rows != 0 ? what.rows : what.y + copy.Height;
  const bool fits = side.pitch >= what.x + copy.WidthInBytes && (copy.Depth <= 1 || side.rows >= what.y + copy.Height);
  const uint64_t base = what.type == CU_MEMORYTYPE_HOST ? what.host : what.device;
  if (!fits || base == 0) return CUDA_ERROR_INVALID_VALUE;
  side.address = base + (what.z * side.rows + what.y) * side.pitch + what.x;
  const Where where = locate(side.address);
  side.in_window = where.place == Place::pinned;
  if (side.in_window) side.address = where.offset;
  const bool is_device = where.place == Place::device || what.type == CU_MEMORYTYPE_DEVICE;
  return side.in_window || is_device ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
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

CUresult NodeSheet::describe(const CUDA_MEMCPY3D& copy) {
  type_ = CU_GRAPH_NODE_TYPE_MEMCPY;
  Side to, from;
  const Description target{copy.dstMemoryType, number(copy.dstHost), copy.dstDevice, copy.dstXInBytes, copy.dstY,
                           copy.dstZ,          copy.dstPitch,        copy.dstHeight};
  const Description source{copy.srcMemoryType, number(copy.srcHost), copy.srcDevice, copy.srcXInBytes, copy.srcY,
                           copy.srcZ,          copy.srcPitch,        copy.srcHeight};
  if (const CUresult result = locate_side(target, copy, to); result != CUDA_SUCCESS) return result;
  if (const CUresult result = locate_side(source, copy, from); result != CUDA_SUCCESS) return result;
  for (const Side& side : {to, from}) {
    put(side.address);
    put(uint32_t{side.in_window});
    put(side.pitch);
    put(side.rows);
  }
  for (const size_t extent : {copy.WidthInBytes, copy.Height, copy.Depth}) put(uint64_t{extent});
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

CUresult NodeSheet::describe_graph(CUgraph graph) {
  type_ = CU_GRAPH_NODE_TYPE_GRAPH;
  if (graph == nullptr) return CUDA_ERROR_INVALID_VALUE;
  put(number(graph));
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
  if (host_step_ != 0) drop_host_step(host_step_);
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
  return in.complete();
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

bool read_sheet(wire::Bytes bytes, CUevent& event) {
  wire::Reader in(bytes);
  event = reinterpret_cast<CUevent>(in.take<uint64_t>());
  return in.complete();
}

}  // namespace vgpu::shim
