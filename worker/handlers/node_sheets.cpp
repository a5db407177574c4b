#include "worker/handlers/node_sheets.hpp"

#include <algorithm>
#include <array>

#include "worker/handlers/access_list.hpp"
#include "worker/handlers/check_in.hpp"
#include "worker/handlers/copy_steps.hpp"
#include "worker/handlers/value_operations.hpp"

namespace vgpu::worker::handlers {
namespace {

constexpr size_t kMostParameterBytes = 32764;
constexpr uint32_t kMostBodies = 64;

/// One side of a copy.
struct Side {
  uint64_t address = 0;
  bool in_window = false;
  uint64_t pitch = 0, rows = 0;
};

Side take_side(wire::Reader& in) {
  Side side;
  side.address = in.take<uint64_t>();
  side.in_window = in.take<uint32_t>() != 0;
  side.pitch = in.take<uint64_t>();
  side.rows = in.take<uint64_t>();
  return side;
}

/// Bytes from the first to the last that a copy of this shape touches; false if that is no number.
bool extent_of(const Side& side, uint64_t width, uint64_t height, uint64_t depth, uint64_t& size) {
  uint64_t slice = 0, slices = 0, rows = 0;
  return width != 0 && height != 0 && depth != 0 && !__builtin_mul_overflow(side.pitch, side.rows, &slice) &&
         !__builtin_mul_overflow(slice, depth - 1, &slices) && !__builtin_mul_overflow(side.pitch, height - 1, &rows) &&
         !__builtin_add_overflow(slices, rows, &size) && !__builtin_add_overflow(size, width, &size);
}

/// Turns an offset of the window into an address, and checks that the memory is the client's.
CUresult place(Session& session, Side& side, uint64_t size) {
  if (side.in_window) {
    if (!session.window().heap_contains(side.address, size))
      return session.violation("a node that copies outside the window's heap");
    side.address += session.window().base();
  }
  return session.allocations().covers(side.address, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

}  // namespace

NodeSheet::~NodeSheet() {
  if (step_ != nullptr) steps_->drop(step_);
}

CUresult NodeSheet::read(Session& session, unsigned type, wire::Bytes bytes) {
  wire::Reader in(bytes);
  CUresult result = CUDA_ERROR_NOT_SUPPORTED;
  params_.type = type;
  switch (type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
      result = read_kernel(session, in);
      break;
    case CU_GRAPH_NODE_TYPE_MEMCPY:
      result = read_copy(session, in);
      break;
    case CU_GRAPH_NODE_TYPE_MEMSET:
      result = read_fill(session, in);
      break;
    case CU_GRAPH_NODE_TYPE_HOST:
      result = read_host(session, in);
      break;
    case CU_GRAPH_NODE_TYPE_GRAPH:
      result = read_child(session, in);
      break;
    case CU_GRAPH_NODE_TYPE_EMPTY:
      result = CUDA_SUCCESS;
      break;
    case CU_GRAPH_NODE_TYPE_WAIT_EVENT:
      result = read_event(session, in, params_.eventWait.event);
      break;
    case CU_GRAPH_NODE_TYPE_EVENT_RECORD:
      result = read_event(session, in, params_.eventRecord.event);
      break;
    case CU_GRAPH_NODE_TYPE_MEM_ALLOC:
      result = read_allocation(session, in);
      break;
    case CU_GRAPH_NODE_TYPE_MEM_FREE:
      result = read_free(session, in);
      break;
    case CU_GRAPH_NODE_TYPE_BATCH_MEM_OP:
      result = read_batch(session, in);
      break;
    case CU_GRAPH_NODE_TYPE_CONDITIONAL:
      result = read_conditional(session, in);
      break;
    default:
      return CUDA_ERROR_NOT_SUPPORTED;
  }
  return result == CUDA_SUCCESS && !in.complete() ? session.violation("a node's description of a wrong size") : result;
}

CUresult NodeSheet::read_kernel(Session& session, wire::Reader& in) {
  auto& kernel = params_.kernel;
  const Function* function = session.objects().function(in.take<uint64_t>());
  if (function == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (function->context == 0)
    kernel.kern = reinterpret_cast<CUkernel>(function->real);
  else
    kernel.func = function->real;
  for (unsigned* dimension : {&kernel.gridDimX, &kernel.gridDimY, &kernel.gridDimZ, &kernel.blockDimX,
                              &kernel.blockDimY, &kernel.blockDimZ, &kernel.sharedMemBytes})
    *dimension = in.take<uint32_t>();
  std::vector<uint32_t> places;
  for (auto left = in.take<uint32_t>(); left > 0 && !in.failed(); --left) places.push_back(in.take<uint32_t>());
  const wire::Bytes block = in.bytes(kMostParameterBytes);
  kernel.ctx = session.context().real;
  if (!places.empty()) return point_at_parameters(session, places, block);
  block_size_ = block.size();
  extra_[0] = reinterpret_cast<void*>(kLaunchParamBufferPointer);
  extra_[1] = const_cast<uint8_t*>(block.data());
  extra_[2] = reinterpret_cast<void*>(kLaunchParamBufferSize);
  extra_[3] = &block_size_;
  extra_[4] = reinterpret_cast<void*>(kLaunchParamEnd);
  kernel.extra = block.empty() ? nullptr : extra_;
  return CUDA_SUCCESS;
}

/// The driver reads as many pointers as the function has parameters, and as many bytes behind each as that is long:
/// whatever the client says, they are there, and nothing else of this process is near them.
CUresult NodeSheet::point_at_parameters(Session& session, const std::vector<uint32_t>& places, wire::Bytes block) {
  if (places.size() > kMostParameterBytes) return session.violation("more parameters than a kernel has");
  block_.assign(2 * kMostParameterBytes, 0);
  std::copy(block.begin(), block.end(), block_.begin());
  parameters_.assign(kMostParameterBytes, block_.data());
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i] >= kMostParameterBytes) return session.violation("a parameter outside of its block");
    parameters_[i] = &block_[places[i]];
  }
  params_.kernel.kernelParams = parameters_.data();
  return CUDA_SUCCESS;
}

CUresult NodeSheet::read_copy(Session& session, wire::Reader& in) {
  Side to = take_side(in), from = take_side(in);
  const auto width = in.take<uint64_t>(), height = in.take<uint64_t>(), depth = in.take<uint64_t>();
  if (!in.failed() && !in.complete()) {
    if (const CUresult result = read_copy_step(session, in); result != CUDA_SUCCESS) return result;
    if (step_->copy_role == CopyStep::all) return CUDA_SUCCESS;
  }
  uint64_t to_size = 0, from_size = 0;
  if (!extent_of(to, width, height, depth, to_size) || !extent_of(from, width, height, depth, from_size))
    return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult result = place(session, to, to_size); result != CUDA_SUCCESS) return result;
  if (const CUresult result = place(session, from, from_size); result != CUDA_SUCCESS) return result;
  params_.memcpy.copyCtx = session.context().real;
  CUDA_MEMCPY3D& copy = params_.memcpy.copyParams;
  copy.dstMemoryType = to.in_window ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
  copy.dstHost = reinterpret_cast<void*>(to.address);
  copy.dstDevice = to.address;
  copy.dstPitch = to.pitch;
  copy.dstHeight = to.rows;
  copy.srcMemoryType = from.in_window ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE;
  copy.srcHost = reinterpret_cast<const void*>(from.address);
  copy.srcDevice = from.address;
  copy.srcPitch = from.pitch;
  copy.srcHeight = from.rows;
  copy.WidthInBytes = width;
  copy.Height = height;
  copy.Depth = depth;
  return CUDA_SUCCESS;
}

CUresult NodeSheet::read_copy_step(Session& session, wire::Reader& in) {
  const auto callback = in.take<uint64_t>();
  const auto role = in.take<uint32_t>();
  if (role < CopyStep::before || role > CopyStep::all) return session.violation("a copy's step that is none");
  steps_ = &session.host_steps();
  step_ = steps_->make(callback, true);
  if (step_ == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  step_->copy_role = role;
  return CUDA_SUCCESS;
}

CUresult NodeSheet::read_allocation(Session& session, wire::Reader& in) {
  constexpr size_t kMostAccess = 768;
  auto& allocation = params_.alloc;
  CUmemPoolProps& pool = allocation.poolProps;
  for (unsigned* value : {&pool.allocType, &pool.handleTypes, &pool.location.type}) *value = in.take<uint32_t>();
  pool.location.id = in.take<int32_t>();
  allocation.bytesize = in.take<uint64_t>();
  const CUresult result = read_access(session, in.bytes(kMostAccess), access_);
  if (result != CUDA_SUCCESS || in.failed()) return result;
  allocation.accessDescs = access_.empty() ? nullptr : access_.data();
  allocation.accessDescCount = access_.size();
  if (session.allocations().is_full()) return CUDA_ERROR_OUT_OF_MEMORY;
  return check_in(pool);
}

/// Only what a graph allocates: the driver would look any other address up in this process.
CUresult NodeSheet::read_free(Session& session, wire::Reader& in) {
  params_.free.dptr = in.take<uint64_t>();
  const Allocations::Range* range = session.allocations().at(params_.free.dptr);
  return range != nullptr && range->kind == Memory::graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult NodeSheet::read_batch(Session& session, wire::Reader& in) {
  constexpr size_t kMostBytes = 12240;  // as a batch in a stream
  auto& batch = params_.memOp;
  batch.ctx = session.context().real;
  batch.flags = in.take<uint32_t>();
  const CUresult result = read_operations(session, in.bytes(kMostBytes), operations_);
  batch.count = static_cast<unsigned>(operations_.size());
  batch.paramArray = operations_.data();
  return result;
}

CUresult NodeSheet::read_fill(Session& session, wire::Reader& in) {
  auto& fill = params_.memset;
  fill.dst = in.take<uint64_t>();
  fill.pitch = in.take<uint64_t>();
  fill.value = in.take<uint32_t>();
  fill.elementSize = in.take<uint32_t>();
  fill.width = in.take<uint64_t>();
  fill.height = in.take<uint64_t>();
  fill.ctx = session.context().real;
  uint64_t row = 0, size = 0;
  const Side side{fill.dst, false, fill.pitch, 0};
  if (__builtin_mul_overflow(fill.width, uint64_t{fill.elementSize}, &row) ||
      !extent_of(side, row, fill.height, 1, size) || !session.allocations().covers(fill.dst, size))
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

CUresult NodeSheet::read_host(Session& session, wire::Reader& in) {
  steps_ = &session.host_steps();
  step_ = steps_->make(in.take<uint64_t>(), true);
  if (step_ == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  params_.host.fn = &HostSteps::run_host_function;
  params_.host.userData = step_;
  return CUDA_SUCCESS;
}

CUresult NodeSheet::read_child(Session& session, wire::Reader& in) {
  const auto handle = in.take<uint64_t>();
  const bool told = !in.failed() && !in.complete();
  const uint32_t ownership = told ? in.take<uint32_t>() : uint32_t{CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE};
  if (ownership > CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE) return CUDA_ERROR_INVALID_VALUE;
  child_ = session.objects().graphs.find(handle);
  if (child_ == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  params_.graph.graph = child_->real;
  params_.graph.ownership = ownership;
  if (ownership == CU_GRAPH_CHILD_GRAPH_OWNERSHIP_CLONE) return CUDA_SUCCESS;
  if (child_->owner != 0 || child_->capturing != 0) return CUDA_ERROR_INVALID_VALUE;
  moved_ = handle;
  return CUDA_SUCCESS;
}

CUresult NodeSheet::read_event(Session& session, wire::Reader& in, CUevent& event) {
  const Event* found = session.objects().events.find(in.take<uint64_t>());
  if (found == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  event = found->real;
  return CUDA_SUCCESS;
}

CUresult NodeSheet::read_conditional(Session& session, wire::Reader& in) {
  auto& conditional = params_.conditional;
  conditional.handle = in.take<uint64_t>();
  conditional.type = in.take<uint32_t>();
  conditional.size = in.take<uint32_t>();
  conditional.ctx = session.context().real;
  if (conditional.size > kMostBodies) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < conditional.size; ++i) {
    const auto handle = in.take<uint64_t>();
    if (!session.objects().graphs.can_bind(handle) ||
        std::find(bodies_.begin(), bodies_.end(), handle) != bodies_.end())
      return session.violation("a handle for a conditional node's graph that cannot be made");
    bodies_.push_back(handle);
  }
  return session.objects().conditions.contains(conditional.handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

// What nodes are made of.

namespace {

/// The client's handle of a function; 0 if it has none.
uint64_t handle_of(Session& session, CUfunction function, CUkernel kernel) {
  uint64_t found = 0;
  const auto compare = [&](uint64_t handle, const Function& one) {
    const bool is_kernel = one.context == 0;
    const void* wanted = is_kernel ? static_cast<const void*>(kernel) : static_cast<const void*>(function);
    if (wanted != nullptr && one.real == wanted) found = handle;
  };
  session.objects().functions.for_each(compare);
  if (found == 0) session.objects().kernels.for_each(compare);
  return found;
}

/// The parameters of a kernel node, packed as the kernel expects them.
CUresult write_parameters(Session& session, const CUDA_KERNEL_NODE_PARAMS_v2& kernel, wire::Writer& out) {
  const DriverTable& driver = session.driver();
  std::array<uint8_t, VGPU_SLOT_DATA> block{};
  const uint8_t* data = nullptr;
  size_t size = 0;
  for (void** extra = kernel.extra; extra != nullptr && *extra != nullptr; extra += 2) {
    const auto what = reinterpret_cast<uintptr_t>(extra[0]);
    if (what == kLaunchParamBufferSize) size = *static_cast<size_t*>(extra[1]);
    if (what == kLaunchParamBufferPointer) data = static_cast<const uint8_t*>(extra[1]);
  }
  if (data != nullptr) {
    out.bytes({data, size});
    return CUDA_SUCCESS;
  }
  for (size_t index = 0; kernel.kernelParams != nullptr; ++index) {
    size_t at = 0, length = 0;
    const CUresult result = kernel.func != nullptr && driver.cuFuncGetParamInfo != nullptr
                                ? driver.cuFuncGetParamInfo(kernel.func, index, &at, &length)
                            : kernel.kern != nullptr && driver.cuKernelGetParamInfo != nullptr
                                ? driver.cuKernelGetParamInfo(kernel.kern, index, &at, &length)
                                : CUDA_ERROR_NOT_SUPPORTED;
    if (result == CUDA_ERROR_INVALID_VALUE) break;  // behind the last one
    if (result != CUDA_SUCCESS) return result;
    if (at > block.size() || length > block.size() - at) return CUDA_ERROR_NOT_SUPPORTED;
    std::memcpy(&block[at], kernel.kernelParams[index], length);
    size = std::max(size, at + length);
  }
  out.bytes({block.data(), size});
  return CUDA_SUCCESS;
}

CUresult write_kernel(Session& session, CUgraphNode node, wire::Writer& out) {
  const auto get = session.driver().cuGraphKernelNodeGetParams_v2;
  if (get == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  CUDA_KERNEL_NODE_PARAMS_v2 kernel{};
  if (const CUresult result = get(node, &kernel); result != CUDA_SUCCESS) return result;
  const uint64_t function = handle_of(session, kernel.func, kernel.kern);
  if (function == 0) return CUDA_ERROR_NOT_SUPPORTED;
  out.put(function);
  for (const unsigned value : {kernel.gridDimX, kernel.gridDimY, kernel.gridDimZ, kernel.blockDimX, kernel.blockDimY,
                               kernel.blockDimZ, kernel.sharedMemBytes})
    out.put(uint32_t{value});
  out.put(uint32_t{0});  // the client knows the places
  return write_parameters(session, kernel, out);
}

void write_side(Session& session, unsigned type, uint64_t host, uint64_t device, uint64_t pitch, uint64_t rows,
                wire::Writer& out) {
  const uint64_t address = type == CU_MEMORYTYPE_HOST ? host : device;
  const uint64_t offset = address - session.window().base();
  const bool in_window = offset < session.window().size();
  out.put(in_window ? offset : address);
  out.put(uint32_t{in_window});
  out.put(pitch);
  out.put(rows);
}

CUresult write_copy(Session& session, CUgraphNode node, wire::Writer& out) {
  const auto get = session.driver().cuGraphMemcpyNodeGetParams;
  if (get == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  CUDA_MEMCPY3D copy{};
  if (const CUresult result = get(node, &copy); result != CUDA_SUCCESS) return result;
  if (copy.dstMemoryType == CU_MEMORYTYPE_ARRAY || copy.srcMemoryType == CU_MEMORYTYPE_ARRAY)
    return CUDA_ERROR_NOT_SUPPORTED;
  write_side(session, copy.dstMemoryType, reinterpret_cast<uint64_t>(copy.dstHost), copy.dstDevice, copy.dstPitch,
             copy.dstHeight, out);
  write_side(session, copy.srcMemoryType, reinterpret_cast<uint64_t>(copy.srcHost), copy.srcDevice, copy.srcPitch,
             copy.srcHeight, out);
  for (const size_t value : {copy.WidthInBytes, copy.Height, copy.Depth}) out.put(uint64_t{value});
  return CUDA_SUCCESS;
}

CUresult write_fill(Session& session, CUgraphNode node, wire::Writer& out) {
  const auto get = session.driver().cuGraphMemsetNodeGetParams;
  if (get == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  CUDA_MEMSET_NODE_PARAMS fill{};
  if (const CUresult result = get(node, &fill); result != CUDA_SUCCESS) return result;
  out.put(uint64_t{fill.dst});
  out.put(uint64_t{fill.pitch});
  out.put(uint32_t{fill.value});
  out.put(uint32_t{fill.elementSize});
  out.put(uint64_t{fill.width});
  out.put(uint64_t{fill.height});
  return CUDA_SUCCESS;
}

CUresult write_host(Session& session, CUgraphNode node, wire::Writer& out) {
  const auto get = session.driver().cuGraphHostNodeGetParams;
  if (get == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  CUDA_HOST_NODE_PARAMS host{};
  if (const CUresult result = get(node, &host); result != CUDA_SUCCESS) return result;
  if (host.fn != &HostSteps::run_host_function) return CUDA_ERROR_NOT_SUPPORTED;
  out.put(static_cast<const HostSteps::Step*>(host.userData)->callback);
  return CUDA_SUCCESS;
}

CUresult write_allocation(Session& session, CUgraphNode node, wire::Writer& out) {
  const auto get = session.driver().cuGraphMemAllocNodeGetParams;
  if (get == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  CUDA_MEM_ALLOC_NODE_PARAMS allocation{};
  if (const CUresult result = get(node, &allocation); result != CUDA_SUCCESS) return result;
  const CUmemPoolProps& pool = allocation.poolProps;
  for (const unsigned value : {pool.allocType, pool.handleTypes, pool.location.type}) out.put(uint32_t{value});
  out.put(int32_t{pool.location.id});
  out.put(uint64_t{allocation.bytesize});
  const size_t count = allocation.accessDescs == nullptr ? 0 : allocation.accessDescCount;
  out.bytes({reinterpret_cast<const uint8_t*>(allocation.accessDescs), count * sizeof(CUmemAccessDesc)});
  out.put(uint64_t{allocation.dptr});
  return CUDA_SUCCESS;
}

CUresult write_free(Session& session, CUgraphNode node, wire::Writer& out) {
  const auto get = session.driver().cuGraphMemFreeNodeGetParams;
  if (get == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  CUdeviceptr address = 0;
  const CUresult result = get(node, &address);
  out.put(uint64_t{address});
  return result;
}

CUresult write_batch(Session& session, CUgraphNode node, wire::Writer& out) {
  const auto get = session.driver().cuGraphBatchMemOpNodeGetParams;
  if (get == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  CUDA_BATCH_MEM_OP_NODE_PARAMS batch{};
  if (const CUresult result = get(node, &batch); result != CUDA_SUCCESS) return result;
  out.put(session.contexts().handle_of(batch.ctx));
  out.put(uint32_t{batch.flags});
  out.put(static_cast<uint32_t>(batch.count * sizeof(CUstreamBatchMemOpParams)));
  for (unsigned i = 0; i < batch.count; ++i) {
    const CUstreamBatchMemOpParams told = as_told(session, batch.paramArray[i]);
    out.raw(&told, sizeof told);
  }
  return CUDA_SUCCESS;
}

CUresult write_event(Session& session, CUgraphNode node, bool is_record, wire::Writer& out) {
  const DriverTable& driver = session.driver();
  const auto get = is_record ? driver.cuGraphEventRecordNodeGetEvent : driver.cuGraphEventWaitNodeGetEvent;
  if (get == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  CUevent event = nullptr;
  if (const CUresult result = get(node, &event); result != CUDA_SUCCESS) return result;
  uint64_t found = 0;
  session.objects().events.for_each([&](uint64_t handle, const Event& one) {
    if (one.real == event) found = handle;
  });
  out.put(found);
  return found != 0 ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

/// A copy that the guest takes part in: the guest's step knows what it was asked to be.
CUresult write_stepped_copy(Session& session, const CopyNodes& nodes, wire::Writer& out) {
  constexpr size_t kSides = 2 * 28 + 3 * 8;
  const CUresult result = nodes.copy == nullptr ? CUDA_SUCCESS : write_copy(session, nodes.copy, out);
  for (size_t i = 0; nodes.copy == nullptr && i < kSides; ++i) out.put(uint8_t{0});
  out.put(nodes.step->callback);
  out.put(nodes.step->copy_role);
  return result;
}

}  // namespace

CUresult write_sheet(Session& session, CUgraphNode node, unsigned& type, wire::Writer& out) {
  if (CopyNodes nodes; find_copy_nodes(session, node, type, nodes)) {
    type = CU_GRAPH_NODE_TYPE_MEMCPY;
    return write_stepped_copy(session, nodes, out);
  }
  CUresult result = CUDA_ERROR_NOT_SUPPORTED;
  if (type == CU_GRAPH_NODE_TYPE_HOST) result = write_host(session, node, out);
  if (type == CU_GRAPH_NODE_TYPE_WAIT_EVENT || type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
    result = write_event(session, node, type == CU_GRAPH_NODE_TYPE_EVENT_RECORD, out);
  if (type == CU_GRAPH_NODE_TYPE_KERNEL) result = write_kernel(session, node, out);
  if (type == CU_GRAPH_NODE_TYPE_MEMCPY) result = write_copy(session, node, out);
  if (type == CU_GRAPH_NODE_TYPE_MEMSET) result = write_fill(session, node, out);
  if (type == CU_GRAPH_NODE_TYPE_MEM_ALLOC) result = write_allocation(session, node, out);
  if (type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP) result = write_batch(session, node, out);
  if (type == CU_GRAPH_NODE_TYPE_MEM_FREE) result = write_free(session, node, out);
  return result == CUDA_SUCCESS && out.failed() ? CUDA_ERROR_NOT_SUPPORTED : result;
}

}  // namespace vgpu::worker::handlers
