// Kernel launches.
#include <cstring>

#include "worker/sim/api/enqueue.hpp"
#include "worker/sim/api/functions.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::exec::Launch;
namespace ptx = vgpu::sim::ptx;
namespace exec = vgpu::sim::exec;

VGPU_SIM_EXPORT(cuEventRecord);
VGPU_SIM_EXPORT(cuLaunchKernel);
VGPU_SIM_EXPORT(cuLaunchKernelEx);
VGPU_SIM_EXPORT(cuLaunchCooperativeKernel);

namespace {

struct Request {
  exec::Extent grid;
  exec::Extent block;
  unsigned dynamic_shared = 0;
  CUstream stream = nullptr;
  bool cooperative = false;
  CUevent completion_event = nullptr;
};

bool is_in_range(const Request& request) {
  constexpr exec::Extent largest_grid{2147483647, 65535, 65535};
  constexpr exec::Extent largest_block{1024, 1024, 64};
  for (std::size_t i = 0; i < 3; ++i) {
    if (request.grid[i] == 0 || request.grid[i] > largest_grid[i] || request.block[i] == 0 ||
        request.block[i] > largest_block[i])
      return false;
  }
  return std::uint64_t{request.block[0]} * request.block[1] * request.block[2] <= 1024;
}

CUresult check(const Request& request, const ptx::Function& function,
               const vgpu::sim::device::FunctionSettings& settings) {
  if (!is_in_range(request)) return CUDA_ERROR_INVALID_VALUE;
  const unsigned threads = request.block[0] * request.block[1] * request.block[2];
  if (threads > max_threads(function)) return CUDA_ERROR_INVALID_VALUE;
  if (function.block_required && request.block != function.max_block) return CUDA_ERROR_INVALID_VALUE;
  if (request.dynamic_shared > static_cast<unsigned>(max_dynamic_shared(function, settings)))
    return CUDA_ERROR_INVALID_VALUE;
  if (!request.cooperative) return CUDA_SUCCESS;
  const std::uint64_t blocks = std::uint64_t{request.grid[0]} * request.grid[1] * request.grid[2];
  const auto fitting =
      static_cast<std::uint64_t>(blocks_per_multiprocessor(function, threads, request.dynamic_shared)) *
      multiprocessors;
  return blocks > fitting ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

/// Reads the `extra` form: the block of parameters, already laid out.
CUresult read_extra(void** extra, std::vector<std::byte>& out) {
  const void* buffer = nullptr;
  const std::size_t* size = nullptr;
  constexpr int most_entries = 8;
  for (int i = 0; i < most_entries; ++i, extra += 2) {
    const auto marker = reinterpret_cast<std::uintptr_t>(extra[0]);
    if (marker == kLaunchParamEnd) break;
    if (marker == kLaunchParamBufferPointer)
      buffer = extra[1];
    else if (marker == kLaunchParamBufferSize)
      size = static_cast<const std::size_t*>(extra[1]);
    else
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (size == nullptr || (buffer == nullptr && *size != 0)) return CUDA_ERROR_INVALID_VALUE;
  if (*size < out.size()) return CUDA_ERROR_INVALID_VALUE;
  if (!out.empty()) std::memcpy(out.data(), buffer, out.size());
  return CUDA_SUCCESS;
}

CUresult read_parameters(const ptx::Function& function, void** parameters, void** extra, std::vector<std::byte>& out) {
  if (parameters != nullptr && extra != nullptr) return CUDA_ERROR_INVALID_VALUE;
  out.resize(function.parameter_bytes);
  if (extra != nullptr) return read_extra(extra, out);
  if (function.parameters.empty()) return CUDA_SUCCESS;
  if (parameters == nullptr) return CUDA_ERROR_INVALID_VALUE;
  for (std::size_t i = 0; i < function.parameters.size(); ++i) {
    if (parameters[i] == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(out.data() + function.parameters[i].offset, parameters[i], function.parameters[i].size);
  }
  return CUDA_SUCCESS;
}

std::uint64_t next_launch_id() {
  static std::atomic<std::uint64_t> next{1};
  return next.fetch_add(1);
}

CUresult launch(CUfunction handle, const Request& request, void** parameters, void** extra) {
  return with_context([&](const ContextPtr& context) {
    FunctionPtr function;
    if (const CUresult result = find_function(context, handle, function); result != CUDA_SUCCESS) return result;
    StreamPtr stream;
    if (const CUresult result = find_stream(context, request.stream, stream); result != CUDA_SUCCESS) return result;
    if (stream->context()->id() != function->context_id) return CUDA_ERROR_INVALID_HANDLE;
    if (const CUresult result = check(request, function->function(), *function->settings); result != CUDA_SUCCESS)
      return result;
    auto job = std::make_shared<Launch>();
    if (const CUresult result = read_parameters(function->function(), parameters, extra, job->parameters);
        result != CUDA_SUCCESS)
      return result;
    job->program = function->program;
    job->function = function->index;
    job->grid = request.grid;
    job->block = request.block;
    job->dynamic_shared = request.dynamic_shared;
    job->all_resident = request.cooperative;
    job->id = next_launch_id();
    job->seed = Simulator::get().settings().seed == 0
                    ? 0
                    : job->id * 0x9e37'79b9'7f4a'7c15ull ^ Simulator::get().settings().seed;
    const Work work = [job](Context& running) {
      Simulator& sim = Simulator::get();
      const exec::Fault fault = exec::run(*job, {sim.arena, sim.host, running.output, running.stop_kernels});
      if (fault.code != exec::FaultCode::none) running.fail(fault);
    };
    return enqueue(stream, {.type = NodeType::kernel, .work = work});
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
        request.cooperative = value_at<int>(attribute, 0) != 0;
        break;
      case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION: {
        const unsigned blocks =
            value_at<unsigned>(attribute, 0) * value_at<unsigned>(attribute, 4) * value_at<unsigned>(attribute, 8);
        if (blocks != 1) return CUDA_ERROR_INVALID_CLUSTER_SIZE;
        break;
      }
      case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
      case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
        request.completion_event = value_at<CUevent>(attribute, 0);
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
  return launch(function, {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared, stream, false, nullptr},
                parameters, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                                   unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared,
                                   CUstream stream, void** parameters) {
  return launch(function, {{grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared, stream, true, nullptr},
                parameters, nullptr);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** parameters, void** extra) {
  if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Request request{{config->gridDimX, config->gridDimY, config->gridDimZ},
                  {config->blockDimX, config->blockDimY, config->blockDimZ},
                  config->sharedMemBytes,
                  config->hStream,
                  false,
                  nullptr};
  if (const CUresult result = read_attributes(*config, request); result != CUDA_SUCCESS) return result;
  const CUresult result = launch(function, request, parameters, extra);
  if (result != CUDA_SUCCESS || request.completion_event == nullptr) return result;
  // The event may come as late as the kernel's end.
  return ::cuEventRecord(request.completion_event, config->hStream);
}
