// Occupancy: the questions about one block size are forwarded (generated); what is computed from them is computed here,
// because the program's own function says how much shared memory a block size needs.
#include <algorithm>

#include "shim/client/context.hpp"
#include "shim/client/device_facts.hpp"
#include "shim/client/functions.hpp"
#include "shim/client/launch_attributes.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/cuda/function_attributes.hpp"

namespace vgpu::shim::calls {
namespace {

struct Limits {
  int warp = 32;
  int most_per_multiprocessor = 0;
  int multiprocessors = 0;
  int most_threads = 0;
};

CUresult limits_of(CUfunction func, int block_size_limit, Limits& limits) {
  const Context* context = current_context();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const DeviceFacts* facts = nullptr;
  CUresult result = device_facts(device_of(*context), facts);
  if (result != CUDA_SUCCESS) return result;
  int of_function = 0;
  FunctionInfo* info = functions::find(func);
  if (info == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  result = attribute_of(*info, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, of_function);
  if (result != CUDA_SUCCESS) return result;
  limits.warp = std::max(1, facts->attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE));
  limits.most_per_multiprocessor = facts->attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR);
  limits.multiprocessors = facts->attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  limits.most_threads = std::min(of_function, facts->attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
  if (block_size_limit > 0) limits.most_threads = std::min(limits.most_threads, block_size_limit);
  return CUDA_SUCCESS;
}

CUresult ask_clusters(int* value, CUfunction func, const CUlaunchConfig* config, bool potential) {
  if (value == nullptr || config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const FunctionInfo* info = functions::find(func);
  if (info == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  LaunchAttributes attributes;
  CUresult result = attributes.add_all(config->attrs, config->numAttrs);
  if (result != CUDA_SUCCESS) return result;
  Request request(api::Op::occupancy_clusters, true);
  wire::Writer& body = request.body();
  body.put(info->handle);
  body.put(static_cast<uint32_t>(potential));
  for (const unsigned dimension : {config->gridDimX, config->gridDimY, config->gridDimZ}) body.put(dimension);
  for (const unsigned dimension : {config->blockDimX, config->blockDimY, config->blockDimZ}) body.put(dimension);
  body.put(config->sharedMemBytes);
  request.put(config->hStream);
  body.put(static_cast<uint32_t>(attributes.encoded().size()));
  result = request.call(attributes.encoded());
  if (result != CUDA_SUCCESS) return result;
  *value = request.reply().take<int32_t>();
  return CUDA_SUCCESS;
}

}  // namespace

// Tries block sizes from the largest down in whole warps, and keeps the first that fills a multiprocessor best.
CUresult cuOccupancyMaxPotentialBlockSizeWithFlags(int* minGridSize, int* blockSize, CUfunction func,
                                                   CUoccupancyB2DSize blockSizeToDynamicSMemSize,
                                                   size_t dynamicSMemSize, int blockSizeLimit, unsigned flags) {
  if (minGridSize == nullptr || blockSize == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Limits limits;
  CUresult result = limits_of(func, blockSizeLimit, limits);
  if (result != CUDA_SUCCESS) return result;
  int best_threads = 0;
  int best_blocks = 0;
  int best_size = 0;
  const int top = (limits.most_threads + limits.warp - 1) / limits.warp * limits.warp;
  for (int tried = top; tried > 0 && best_threads < limits.most_per_multiprocessor; tried -= limits.warp) {
    const int size = std::min(tried, limits.most_threads);
    const size_t shared = blockSizeToDynamicSMemSize != nullptr ? blockSizeToDynamicSMemSize(size) : dynamicSMemSize;
    int blocks = 0;
    result = cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(&blocks, func, size, shared, flags);
    if (result != CUDA_SUCCESS) return result;
    if (size * blocks > best_threads) {
      best_threads = size * blocks;
      best_blocks = blocks;
      best_size = size;
    }
  }
  *minGridSize = best_blocks * limits.multiprocessors;
  *blockSize = best_size;
  return CUDA_SUCCESS;
}

CUresult cuOccupancyMaxPotentialBlockSize(int* minGridSize, int* blockSize, CUfunction func,
                                          CUoccupancyB2DSize blockSizeToDynamicSMemSize, size_t dynamicSMemSize,
                                          int blockSizeLimit) {
  return cuOccupancyMaxPotentialBlockSizeWithFlags(minGridSize, blockSize, func, blockSizeToDynamicSMemSize,
                                                   dynamicSMemSize, blockSizeLimit, 0);
}

CUresult cuOccupancyMaxActiveClusters(int* numClusters, CUfunction func, const CUlaunchConfig* config) {
  return ask_clusters(numClusters, func, config, false);
}

CUresult cuOccupancyMaxPotentialClusterSize(int* clusterSize, CUfunction func, const CUlaunchConfig* config) {
  return ask_clusters(clusterSize, func, config, true);
}

}  // namespace vgpu::shim::calls
