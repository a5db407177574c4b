// Kernels as tasks: checking their shape and copying their parameters.
#include <cstring>

#include "worker/sim/api/tasks.hpp"

namespace vgpu::sim::api {

namespace {

using exec::Launch;

bool is_in_range(const Launch& launch) {
  constexpr exec::Extent largest_grid{2147483647, 65535, 65535};
  constexpr exec::Extent largest_block{1024, 1024, 64};
  for (std::size_t i = 0; i < 3; ++i) {
    if (launch.grid[i] == 0 || launch.grid[i] > largest_grid[i] || launch.block[i] == 0 ||
        launch.block[i] > largest_block[i])
      return false;
  }
  return std::uint64_t{launch.block[0]} * launch.block[1] * launch.block[2] <= 1024;
}

CUresult check(const Launch& launch, const ptx::Function& function, const device::FunctionSettings& settings) {
  if (!is_in_range(launch)) return CUDA_ERROR_INVALID_VALUE;
  const unsigned threads = launch.block[0] * launch.block[1] * launch.block[2];
  if (threads > max_threads(function)) return CUDA_ERROR_INVALID_VALUE;
  if (function.block_required && launch.block != function.max_block) return CUDA_ERROR_INVALID_VALUE;
  if (launch.dynamic_shared > static_cast<unsigned>(max_dynamic_shared(function, settings)))
    return CUDA_ERROR_INVALID_VALUE;
  if (!launch.all_resident) return CUDA_SUCCESS;
  const std::uint64_t blocks = std::uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  const auto fitting =
      static_cast<std::uint64_t>(blocks_per_multiprocessor(function, threads, launch.dynamic_shared)) * multiprocessors;
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

bool is_cooperative(const KernelAttributes& attributes) {
  const auto found = attributes.find(CU_LAUNCH_ATTRIBUTE_COOPERATIVE);
  int value = 0;
  if (found != attributes.end()) std::memcpy(&value, found->second.bytes, sizeof value);
  return value != 0;
}

/// Lets `given` lead to the parameters that the kernel owns, in the form in which they came.
void point_inwards(KernelParameters& kernel, const ptx::Function& function) {
  auto& bytes = kernel.launch.parameters;
  if (kernel.given.extra != nullptr) {
    kernel.packed_bytes = bytes.size();
    kernel.extra = {reinterpret_cast<void*>(kLaunchParamBufferPointer), bytes.data(),
                    reinterpret_cast<void*>(kLaunchParamBufferSize), &kernel.packed_bytes,
                    reinterpret_cast<void*>(kLaunchParamEnd)};
    kernel.given.extra = kernel.extra.data();
    return;
  }
  for (const auto& parameter : function.parameters) kernel.pointers.push_back(bytes.data() + parameter.offset);
  kernel.given.kernelParams = kernel.pointers.empty() ? nullptr : kernel.pointers.data();
}

Task finish(std::shared_ptr<KernelParameters> made) {
  const std::shared_ptr<const KernelParameters> kernel = std::move(made);
  const Work work = [kernel](Context& running) {
    Simulator& sim = Simulator::get();
    const exec::Machine machine{sim.arena, sim.host, running.output, running.stop_kernels, running.reach()};
    const exec::Fault fault = exec::run(kernel->launch, machine);
    if (fault.code != exec::FaultCode::none) running.fail(fault);
  };
  return {NodeType::kernel, work, kernel};
}

}  // namespace

CUresult kernel_task(const FunctionPtr& function, const CUDA_KERNEL_NODE_PARAMS& given, KernelAttributes attributes,
                     Task& out) {
  auto kernel = std::make_shared<KernelParameters>();
  Launch& launch = kernel->launch;
  launch.program = function->program;
  launch.function = function->index;
  launch.grid = {given.gridDimX, given.gridDimY, given.gridDimZ};
  launch.block = {given.blockDimX, given.blockDimY, given.blockDimZ};
  launch.dynamic_shared = given.sharedMemBytes;
  launch.all_resident = is_cooperative(attributes);
  const ptx::Function& code = function->function();
  if (const CUresult result = check(launch, code, *function->settings); result != CUDA_SUCCESS) return result;
  if (const CUresult result = read_parameters(code, given.kernelParams, given.extra, launch.parameters);
      result != CUDA_SUCCESS)
    return result;
  launch.id = next_launch_id();
  const std::uint64_t seed = Simulator::get().settings().seed;
  launch.seed = seed == 0 ? 0 : launch.id * 0x9e37'79b9'7f4a'7c15ull ^ seed;
  kernel->given = given;
  kernel->context_id = function->context_id;
  kernel->attributes = std::move(attributes);
  point_inwards(*kernel, code);
  out = finish(std::move(kernel));
  return CUDA_SUCCESS;
}

CUresult kernel_task(const CUDA_KERNEL_NODE_PARAMS& given, KernelAttributes attributes, Task& out) {
  const bool by_function = given.func != nullptr;
  const void* handle = by_function ? static_cast<const void*>(given.func) : given.kern;
  if (handle == nullptr) return CUDA_ERROR_INVALID_VALUE;
  FunctionPtr function = by_function ? Simulator::get().functions.find(given.func) : nullptr;
  if (function == nullptr) {
    ContextPtr context = by_function || given.ctx == nullptr ? nullptr : find_context(given.ctx);
    if (context == nullptr) {
      if (!by_function && given.ctx != nullptr) return CUDA_ERROR_INVALID_CONTEXT;
      if (const CUresult result = current_context(context); result != CUDA_SUCCESS) return result;
    }
    if (const CUresult result = find_function(context, handle, function); result != CUDA_SUCCESS) return result;
  }
  return kernel_task(function, given, std::move(attributes), out);
}

Task with_attributes(const KernelParameters& kernel, KernelAttributes attributes) {
  auto made = std::make_shared<KernelParameters>();
  made->given = kernel.given;
  made->launch = kernel.launch;
  made->launch.all_resident = is_cooperative(attributes);
  made->context_id = kernel.context_id;
  made->attributes = std::move(attributes);
  made->given.kernelParams = nullptr;
  point_inwards(*made, made->launch.program->module->functions[made->launch.function]);
  return finish(std::move(made));
}

}  // namespace vgpu::sim::api
