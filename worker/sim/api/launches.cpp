// Kernel launches.
#include <cstring>

#include "worker/sim/api/tasks.hpp"

using namespace vgpu::sim::api;

VGPU_SIM_EXPORT(cuEventRecord);
VGPU_SIM_EXPORT(cuLaunchKernel);
VGPU_SIM_EXPORT(cuLaunchKernelEx);
VGPU_SIM_EXPORT(cuLaunchCooperativeKernel);

namespace {

/// A launch on a stream.
struct Request {
  CUDA_KERNEL_NODE_PARAMS kernel{};
  CUstream stream = nullptr;
  KernelAttributes attributes;
  CUevent completion_event = nullptr;
};

CUresult launch(Request request) {
  return with_context([&](const ContextPtr& context) {
    FunctionPtr function;
    if (const CUresult result = find_function(context, request.kernel.func, function); result != CUDA_SUCCESS)
      return result;
    StreamPtr stream;
    if (const CUresult result = find_stream(context, request.stream, stream); result != CUDA_SUCCESS) return result;
    const Context& where = *stream->context();
    const bool is_relative = context->id() == function->context_id && context->family() == where.family();
    if (where.id() != function->context_id && !is_relative) return CUDA_ERROR_INVALID_HANDLE;
    function->loaded = true;
    request.kernel.func = as_handle<CUfunction>(function->handle);
    Submission submission;
    if (const CUresult result = kernel_task(function, request.kernel, std::move(request.attributes), submission.task);
        result != CUDA_SUCCESS)
      return result;
    return enqueue(stream, std::move(submission));
  });
}

template <typename T>
T value_at(const CUlaunchAttribute& attribute, std::size_t offset) {
  T value{};
  std::memcpy(&value, attribute.value.bytes + offset, sizeof value);
  return value;
}

/// Takes from the attributes what changes anything here.
CUresult read_attributes(const CUlaunchConfig& config, Request& request) {
  if (config.numAttrs != 0 && config.attrs == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const CUlaunchAttribute& attribute = config.attrs[i];
    switch (attribute.id) {
      case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
      case CU_LAUNCH_ATTRIBUTE_PRIORITY:
        request.attributes[attribute.id] = attribute.value;
        break;
      case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: {
        const unsigned blocks =
            value_at<unsigned>(attribute, 0) * value_at<unsigned>(attribute, 4) * value_at<unsigned>(attribute, 8);
        if (blocks != 1) return CUDA_ERROR_INVALID_CLUSTER_SIZE;
        break;
      }
      case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
      case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        request.completion_event = reinterpret_cast<CUevent>(value_at<std::uint64_t>(attribute, 0));
        if (Simulator::get().events.find(request.completion_event) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
        break;
      case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
        if (value_at<int>(attribute, 0) != 0) return CUDA_ERROR_NOT_SUPPORTED;
        break;
      default:
        if (attribute.id > 16) return CUDA_ERROR_INVALID_VALUE;
    }
  }
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared, CUstream stream, void** parameters,
                        void** extra) {
  return launch({{function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, parameters, extra, {}, {}},
                 stream,
                 {},
                 nullptr});
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                   CUstream stream, void** parameters) {
  CUlaunchAttributeValue yes{};
  yes.bytes[0] = 1;
  return launch({{function, grid_x, grid_y, grid_z, block_x, block_y, block_z, shared, parameters, nullptr, {}, {}},
                 stream,
                 {{CU_LAUNCH_ATTRIBUTE_COOPERATIVE, yes}},
                 nullptr});
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters, void** extra) {
  if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Request request{{function,
                   config->gridDimX,
                   config->gridDimY,
                   config->gridDimZ,
                   config->blockDimX,
                   config->blockDimY,
                   config->blockDimZ,
                   config->sharedMemBytes,
                   parameters,
                   extra,
                   {},
                   {}},
                  config->hStream,
                  {},
                  nullptr};
  if (const CUresult result = read_attributes(*config, request); result != CUDA_SUCCESS) return result;
  const CUevent completion_event = request.completion_event;
  const CUresult result = launch(std::move(request));
  if (result != CUDA_SUCCESS || completion_event == nullptr) return result;
  // The event may come as late as the kernel's end.
  return ::cuEventRecord(completion_event, config->hStream);
}
