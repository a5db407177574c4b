// What is known of functions, and occupancy.
#include "worker/sim/api/functions.hpp"

#include <algorithm>
#include <climits>

#include "worker/sim/api/device_facts.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::FunctionObject;
using vgpu::sim::device::FunctionSettings;
using vgpu::sim::device::KernelObject;
namespace ptx = vgpu::sim::ptx;

VGPU_SIM_EXPORT(cuFuncGetAttribute);
VGPU_SIM_EXPORT(cuFuncSetAttribute);
VGPU_SIM_EXPORT(cuFuncGetModule);
VGPU_SIM_EXPORT(cuFuncGetName);
VGPU_SIM_EXPORT(cuFuncGetParamInfo);
VGPU_SIM_EXPORT(cuFuncIsLoaded);
VGPU_SIM_EXPORT(cuFuncLoad);
VGPU_SIM_EXPORT(cuFuncSetCacheConfig);
VGPU_SIM_EXPORT(cuFuncSetSharedMemConfig);
VGPU_SIM_EXPORT(cuKernelGetAttribute);
VGPU_SIM_EXPORT(cuKernelSetAttribute);
VGPU_SIM_EXPORT(cuKernelGetName);
VGPU_SIM_EXPORT(cuKernelGetParamInfo);
VGPU_SIM_EXPORT(cuKernelSetCacheConfig);
VGPU_SIM_EXPORT(cuOccupancyMaxActiveBlocksPerMultiprocessor);
VGPU_SIM_EXPORT(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags);
VGPU_SIM_EXPORT(cuOccupancyMaxPotentialBlockSize);
VGPU_SIM_EXPORT(cuOccupancyMaxPotentialBlockSizeWithFlags);
VGPU_SIM_EXPORT(cuOccupancyAvailableDynamicSMemPerBlock);
VGPU_SIM_EXPORT(cuOccupancyMaxActiveClusters);
VGPU_SIM_EXPORT(cuOccupancyMaxPotentialClusterSize);

namespace {

constexpr int usual_shared = 49152;
constexpr int largest_shared = 232448;
constexpr int shared_of_multiprocessor = 233472;
constexpr int reserved_shared = 1024;
constexpr unsigned threads_of_multiprocessor = 2048;
constexpr unsigned registers_of_multiprocessor = 65536;
constexpr int blocks_of_multiprocessor = 32;

/// Registers per thread that a compiler would have used: virtual registers are far more.
int registers(const ptx::Function& function) {
  return static_cast<int>(std::clamp(function.registers / 2 + 8, 8u, 64u));
}

struct Target {
  const ptx::Function* function = nullptr;
  FunctionSettings* settings = nullptr;
  int version = 0;
  std::shared_ptr<const void> keep;  ///< what owns the two
  bool loaded = true;
};

/// A CUfunction or CUkernel, without loading anything.
CUresult find_target(const void* handle, Target& out) {
  if (const auto function = Simulator::get().functions.find(handle)) {
    out = {&function->function(), function->settings.get(), static_cast<int>(function->program->module->version),
           function, function->loaded};
    return CUDA_SUCCESS;
  }
  if (const auto kernel = Simulator::get().kernels.find(handle)) {
    out = {&kernel->function(), kernel->settings.get(), static_cast<int>(kernel->module->version), kernel};
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_HANDLE;
}

template <typename Body>
CUresult with_target(const void* handle, Body body) {
  return without_context([&] {
    Target target;
    if (const CUresult result = find_target(handle, target); result != CUDA_SUCCESS) return result;
    return static_cast<CUresult>(body(target));
  });
}

bool needs_code(CUfunction_attribute attribute) {
  return attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK || attribute == CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES ||
         attribute == CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES;
}

CUresult get_attribute(int* out, CUfunction_attribute attribute, const Target& target) {
  if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!target.loaded && needs_code(attribute)) return CUDA_ERROR_FUNCTION_NOT_LOADED;
  const ptx::Function& function = *target.function;
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
      *out = static_cast<int>(max_threads(function));
      break;
    case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
      *out = static_cast<int>(function.shared_bytes);
      break;
    case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
      *out = 0;
      break;
    case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
      *out = static_cast<int>(function.local_bytes);
      break;
    case CU_FUNC_ATTRIBUTE_NUM_REGS:
      *out = registers(function);
      break;
    case CU_FUNC_ATTRIBUTE_PTX_VERSION:
      *out = target.version;
      break;
    case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
      *out = 90;
      break;
    case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
      *out = 0;
      break;
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
      *out = max_dynamic_shared(function, *target.settings);
      break;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      *out = target.settings->carveout;
      break;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
    case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
      *out = 0;
      break;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
      *out = target.settings->non_portable_cluster;
      break;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
      *out = target.settings->cluster_policy;
      break;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

CUresult set_attribute(const Target& target, CUfunction_attribute attribute, int value) {
  FunctionSettings& settings = *target.settings;
  switch (attribute) {
    case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
      if (value < 0 || value > largest_shared - static_cast<int>(target.function->shared_bytes))
        return CUDA_ERROR_INVALID_VALUE;
      settings.max_dynamic_shared = value;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
      if (value < -1 || value > 100) return CUDA_ERROR_INVALID_VALUE;
      settings.carveout = value;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
      settings.non_portable_cluster = value != 0 ? 1 : 0;
      return CUDA_SUCCESS;
    case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
      settings.cluster_policy = value;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
  }
}

CUresult get_parameter(const Target& target, std::size_t index, std::size_t* offset, std::size_t* size) {
  if (offset == nullptr || index >= target.function->parameters.size()) return CUDA_ERROR_INVALID_VALUE;
  *offset = target.function->parameters[index].offset;
  if (size != nullptr) *size = target.function->parameters[index].size;
  return CUDA_SUCCESS;
}

CUresult occupancy(int* out, CUfunction handle, int threads, std::size_t dynamic_shared, unsigned flags) {
  return with_target(handle, [&](const Target& target) {
    if (out == nullptr || threads <= 0 || flags > 1) return CUDA_ERROR_INVALID_VALUE;
    // What a launch would refuse fits no times.
    const bool fits =
        dynamic_shared <= static_cast<std::size_t>(max_dynamic_shared(*target.function, *target.settings));
    *out = fits ? blocks_per_multiprocessor(*target.function, static_cast<unsigned>(threads), dynamic_shared) : 0;
    return CUDA_SUCCESS;
  });
}

CUresult potential_block_size(int* grid, int* block, CUfunction handle, CUoccupancyB2DSize shared_of,
                              std::size_t dynamic_shared, int limit) {
  return with_target(handle, [&](const Target& target) {
    if (grid == nullptr || block == nullptr || limit < 0) return CUDA_ERROR_INVALID_VALUE;
    const auto most = static_cast<int>(max_threads(*target.function));
    const int highest = limit == 0 ? most : std::min(limit, most);
    int best_threads = 0, best_block = 0, best_count = 0;
    for (int threads = highest; threads > 0; threads = threads % 32 != 0 ? threads / 32 * 32 : threads - 32) {
      const std::size_t shared = shared_of != nullptr ? shared_of(threads) : dynamic_shared;
      if (shared > static_cast<std::size_t>(max_dynamic_shared(*target.function, *target.settings))) continue;
      const int count = blocks_per_multiprocessor(*target.function, static_cast<unsigned>(threads), shared);
      if (count * threads <= best_threads) continue;
      best_threads = count * threads;
      best_block = threads;
      best_count = count;
    }
    *block = best_block;
    *grid = best_count * static_cast<int>(multiprocessors);
    return CUDA_SUCCESS;
  });
}

}  // namespace

namespace vgpu::sim::api {

unsigned max_threads(const ptx::Function& function) {
  const auto& block = function.max_block;
  return block[0] == 0 ? 1024 : std::min(1024u, block[0] * block[1] * block[2]);
}

int max_dynamic_shared(const ptx::Function& function, const FunctionSettings& settings) {
  const int set = settings.max_dynamic_shared;
  return set >= 0 ? set : std::max(0, usual_shared - static_cast<int>(function.shared_bytes));
}

int blocks_per_multiprocessor(const ptx::Function& function, unsigned threads, std::uint64_t dynamic_shared) {
  const std::uint64_t shared = function.shared_bytes + dynamic_shared;
  if (threads == 0 || threads > max_threads(function) || shared > static_cast<std::uint64_t>(largest_shared)) return 0;
  const unsigned rounded = (threads + 31) / 32 * 32;
  const unsigned by_threads = threads_of_multiprocessor / rounded;
  const unsigned by_registers = registers_of_multiprocessor / (static_cast<unsigned>(registers(function)) * rounded);
  const auto by_shared =
      static_cast<unsigned>(static_cast<std::uint64_t>(shared_of_multiprocessor) / (shared + reserved_shared));
  return static_cast<int>(
      std::min({by_threads, by_registers, by_shared, static_cast<unsigned>(blocks_of_multiprocessor)}));
}

}  // namespace vgpu::sim::api

// A kernel stands for a function in launches, but not here.
CUresult cuFuncGetAttribute(int* out, CUfunction_attribute attribute, CUfunction handle) {
  if (is_initialised() && Simulator::get().kernels.find(handle) != nullptr) return CUDA_ERROR_INVALID_HANDLE;
  return with_target(handle, [&](const Target& target) { return get_attribute(out, attribute, target); });
}
CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  return with_target(handle, [&](const Target& target) { return set_attribute(target, attribute, value); });
}
CUresult cuKernelGetAttribute(int* out, CUfunction_attribute attribute, CUkernel handle, CUdevice device) {
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  return with_target(handle, [&](const Target& target) { return get_attribute(out, attribute, target); });
}
CUresult cuKernelSetAttribute(CUfunction_attribute attribute, int value, CUkernel handle, CUdevice device) {
  if (device != 0) return CUDA_ERROR_INVALID_DEVICE;
  return with_target(handle, [&](const Target& target) { return set_attribute(target, attribute, value); });
}

CUresult cuFuncGetModule(CUmodule* out, CUfunction handle) {
  return with_context([&](const ContextPtr& context) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    FunctionPtr function;
    if (const CUresult result = find_function(context, handle, function); result != CUDA_SUCCESS) return result;
    const auto module = function->module.lock();
    if (module == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    *out = as_handle<CUmodule>(module->handle);
    return CUDA_SUCCESS;
  });
}

// The name lives as long as the module, since the function keeps the program alive.
CUresult cuFuncGetName(const char** name, CUfunction handle) {
  return with_target(handle, [&](const Target& target) {
    if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *name = target.function->name.c_str();
    return CUDA_SUCCESS;
  });
}
CUresult cuKernelGetName(const char** name, CUkernel handle) {
  return cuFuncGetName(name, reinterpret_cast<CUfunction>(handle));
}

CUresult cuFuncGetParamInfo(CUfunction handle, std::size_t index, std::size_t* offset, std::size_t* size) {
  return with_target(handle, [&](const Target& target) { return get_parameter(target, index, offset, size); });
}
CUresult cuKernelGetParamInfo(CUkernel handle, std::size_t index, std::size_t* offset, std::size_t* size) {
  return with_target(handle, [&](const Target& target) { return get_parameter(target, index, offset, size); });
}

CUresult cuFuncIsLoaded(CUfunctionLoadingState* state, CUfunction handle) {
  return with_target(handle, [&](const Target& target) {
    if (state == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *state = target.loaded ? 1 : 0;
    return CUDA_SUCCESS;
  });
}
CUresult cuFuncLoad(CUfunction handle) {
  return with_context([&](const ContextPtr& context) {
    FunctionPtr function;
    const CUresult result = find_function(context, handle, function);
    if (result == CUDA_SUCCESS) function->loaded = true;
    return result;
  });
}
CUresult cuFuncSetCacheConfig(CUfunction handle, CUfunc_cache config) {
  return with_target(handle, [&](const Target&) {
    return config > CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
  });
}
CUresult cuKernelSetCacheConfig(CUkernel handle, CUfunc_cache config, CUdevice device) {
  return device != 0 ? CUDA_ERROR_INVALID_DEVICE : cuFuncSetCacheConfig(reinterpret_cast<CUfunction>(handle), config);
}
CUresult cuFuncSetSharedMemConfig(CUfunction handle, CUsharedconfig config) {
  return with_target(handle, [&](const Target&) { return config > 2 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS; });
}

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int* out, CUfunction function, int threads, std::size_t shared) {
  return occupancy(out, function, threads, shared, 0);
}
CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* out, CUfunction function, int threads,
                                                              std::size_t shared, unsigned flags) {
  return occupancy(out, function, threads, shared, flags);
}
CUresult cuOccupancyMaxPotentialBlockSize(int* grid, int* block, CUfunction function, CUoccupancyB2DSize shared_of,
                                          std::size_t shared, int limit) {
  return potential_block_size(grid, block, function, shared_of, shared, limit);
}
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid, int* block, CUfunction function,
                                                   CUoccupancyB2DSize shared_of, std::size_t shared, int limit,
                                                   unsigned flags) {
  return flags > 1 ? CUDA_ERROR_INVALID_VALUE : potential_block_size(grid, block, function, shared_of, shared, limit);
}

CUresult cuOccupancyAvailableDynamicSMemPerBlock(std::size_t* out, CUfunction handle, int blocks, int threads) {
  return with_target(handle, [&](const Target& target) {
    if (out == nullptr || blocks <= 0 || threads <= 0) return CUDA_ERROR_INVALID_VALUE;
    const int each =
        shared_of_multiprocessor / blocks - reserved_shared - static_cast<int>(target.function->shared_bytes);
    *out = static_cast<std::size_t>(std::clamp(each, 0, largest_shared));
    return CUDA_SUCCESS;
  });
}

// Clusters do not exist here: a cluster is one block.
CUresult cuOccupancyMaxActiveClusters(int* out, CUfunction handle, const CUlaunchConfig* config) {
  return with_target(handle, [&](const Target& target) {
    if (out == nullptr || config == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const unsigned threads = config->blockDimX * config->blockDimY * config->blockDimZ;
    *out = blocks_per_multiprocessor(*target.function, threads, config->sharedMemBytes) *
           static_cast<int>(multiprocessors);
    return CUDA_SUCCESS;
  });
}
CUresult cuOccupancyMaxPotentialClusterSize(int* out, CUfunction handle, const CUlaunchConfig* config) {
  return with_target(handle, [&](const Target&) {
    if (out == nullptr || config == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = 1;
    return CUDA_SUCCESS;
  });
}
