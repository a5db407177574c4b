// Kernel launches. The parameter block comes packed; the worker checks its size against its own knowledge of the
// function.
#include "worker/handlers/attribute_kinds.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

constexpr size_t kAttributeBytes = 72;  // id, zero, value
constexpr size_t kMostAttributes = 2048 / kAttributeBytes;

/// Launch attributes with the client's event handles replaced. False if one cannot be served; `why` says what to
/// answer.
bool read_attributes(Session& session, wire::Bytes bytes, CUlaunchAttribute* attributes, unsigned& count,
                     CUresult& why) {
  why = CUDA_ERROR_INVALID_VALUE;
  if (bytes.size() % kAttributeBytes != 0) {
    why = session.violation("launch attributes of a wrong size");
    return false;
  }
  count = static_cast<unsigned>(bytes.size() / kAttributeBytes);
  for (unsigned i = 0; i < count; ++i) {
    CUlaunchAttribute& attribute = attributes[i];
    attribute = {};
    std::memcpy(&attribute.id, bytes.data() + i * kAttributeBytes, sizeof attribute.id);
    std::memcpy(attribute.value.bytes, bytes.data() + i * kAttributeBytes + 8, sizeof attribute.value.bytes);
    if (attribute.id > kLastAttribute) return false;
    if (hands_out_handle(attribute.id)) {
      why = CUDA_ERROR_NOT_SUPPORTED;  // it hands out a handle of the driver's
      return false;
    }
    if (!takes_event(attribute.id)) continue;
    uint64_t handle = 0;
    std::memcpy(&handle, attribute.value.bytes, sizeof handle);
    const Event* event = session.objects().events.find(handle);
    if (event == nullptr) {
      why = CUDA_ERROR_INVALID_HANDLE;
      return false;
    }
    std::memcpy(attribute.value.bytes, &event->real, sizeof(CUevent));
  }
  return true;
}

CUresult submit(Session& session, const Function& function, const CUlaunchConfig& config, wire::Bytes block) {
  const DriverTable& driver = session.driver();
  size_t size = block.size();
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), const_cast<uint8_t*>(block.data()),
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &size, reinterpret_cast<void*>(kLaunchParamEnd)};
  void** parameters = size == 0 ? nullptr : extra;
  if (config.numAttrs != 0) return driver.cuLaunchKernelEx(&config, function.real, nullptr, parameters);
  return driver.cuLaunchKernel(function.real, config.gridDimX, config.gridDimY, config.gridDimZ, config.blockDimX,
                               config.blockDimY, config.blockDimZ, config.sharedMemBytes, config.hStream, nullptr,
                               parameters);
}

/// Launch or LaunchSync.
template <typename Op>
CUresult run(Session& session, const Op& op) {
  const Function* function = session.objects().function(op.what.value);
  CUstream stream = nullptr;
  if (function == nullptr || !session.objects().find(op.on.value, stream)) return CUDA_ERROR_INVALID_HANDLE;
  CUlaunchAttribute attributes[kMostAttributes];
  unsigned count = 0;
  if (!op.attributes.empty()) {
    if (session.driver().cuLaunchKernelEx == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
    CUresult why = CUDA_SUCCESS;
    if (!read_attributes(session, op.attributes, attributes, count, why)) return why;
  }
  const CUlaunchConfig config{op.grid_x,  op.grid_y,       op.grid_z, op.block_x, op.block_y,
                              op.block_z, op.shared_bytes, stream,    attributes, count};
  const CUresult result = submit(session, *function, config, op.parameters);
  if (result == CUDA_SUCCESS) session.dispatcher().count(op.on.value);
  return result;
}

}  // namespace

void launch(Session& session, const api::ops::Launch& op, Call& call) { call.finish(run(session, op)); }

void launch_sync(Session& session, const api::ops::LaunchSync& op, Call& call) { call.finish(run(session, op)); }

void occupancy_clusters(Session& session, const api::ops::OccupancyClusters& op, Call& call) {
  const DriverTable& driver = session.driver();
  const auto ask = op.potential != 0 ? driver.cuOccupancyMaxPotentialClusterSize : driver.cuOccupancyMaxActiveClusters;
  const Function* function = session.objects().function(op.what.value);
  CUstream stream = nullptr;
  if (ask == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (function == nullptr || !session.objects().find(op.on.value, stream))
    return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUlaunchAttribute attributes[kMostAttributes];
  unsigned count = 0;
  CUresult result = CUDA_SUCCESS;
  if (!read_attributes(session, op.attributes, attributes, count, result)) return call.finish(result);
  const CUlaunchConfig config{op.grid_x,  op.grid_y,       op.grid_z, op.block_x, op.block_y,
                              op.block_z, op.shared_bytes, stream,    attributes, count};
  int value = 0;
  result = ask(&value, function->real, &config);
  api::ops::OccupancyClustersReply{value}.encode(call.reply());
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
