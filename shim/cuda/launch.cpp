// Launches: one path for all three entries. What the driver would refuse at once is refused here from cached facts;
// what we cannot judge goes to the worker with an answer; everything else is posted.
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "shim/client/contexts.hpp"
#include "shim/client/device_facts.hpp"
#include "shim/client/functions.hpp"
#include "shim/client/launch_attributes.hpp"
#include "shim/client/parameter_block.hpp"
#include "shim/client/request.hpp"
#include "shim/client/stream_table.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/cuda/function_attributes.hpp"

namespace vgpu::shim::calls {
namespace {

/// VGPU_STRICT and CUDA_LAUNCH_BLOCKING: a launch returns when the kernel has run.
bool every_launch_waits() {
  static const bool waits = [] {
    const auto is_on = [](const char* value) {
      return value != nullptr && value[0] != '\0' && std::strcmp(value, "0") != 0;
    };
    return is_on(std::getenv("CUDA_LAUNCH_BLOCKING")) || is_on(secure_getenv("VGPU_STRICT"));
  }();
  return waits;
}

struct Shape {
  std::array<unsigned, 3> grid;
  std::array<unsigned, 3> block;
  unsigned shared_bytes;
  CUstream stream;

  unsigned long long threads() const { return 1ull * block[0] * block[1] * block[2]; }
  unsigned long long blocks() const { return 1ull * grid[0] * grid[1] * grid[2]; }
};

CUresult check_shape(const Shape& shape, const DeviceFacts& facts) {
  for (unsigned i = 0; i < 3; ++i) {
    if (shape.grid[i] == 0 ||
        shape.grid[i] > static_cast<unsigned>(facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X + i)))
      return CUDA_ERROR_INVALID_VALUE;
    if (shape.block[i] == 0 ||
        shape.block[i] > static_cast<unsigned>(facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X + i)))
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (shape.threads() > static_cast<unsigned>(facts.attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK)))
    return CUDA_ERROR_INVALID_VALUE;
  return CUDA_SUCCESS;
}

/// Whether the driver may refuse this for what the function itself can do: then the worker must be asked.
bool is_doubtful(FunctionInfo& info, const Shape& shape) {
  int most_threads = 0;
  int most_shared = 0;
  if (attribute_of(info, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, most_threads) != CUDA_SUCCESS) return true;
  if (shape.threads() > static_cast<unsigned>(most_threads)) return true;
  if (shape.shared_bytes == 0) return false;
  if (attribute_of(info, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, most_shared) != CUDA_SUCCESS) return true;
  return shape.shared_bytes > static_cast<unsigned>(most_shared);
}

/// A cooperative grid must be resident as a whole. The last answer per thread is kept: a program launches the same
/// shape again and again.
CUresult check_cooperative(const FunctionInfo& info, const Shape& shape, const DeviceFacts& facts) {
  struct Last {
    uint64_t function;
    unsigned long long threads;
    unsigned shared_bytes;
    int per_multiprocessor;
  };
  static constinit thread_local Last last{};
  if (last.function != info.handle || last.threads != shape.threads() || last.shared_bytes != shape.shared_bytes) {
    int count = 0;
    const CUresult result = cuOccupancyMaxActiveBlocksPerMultiprocessor(
        &count, reinterpret_cast<CUfunction>(info.handle), static_cast<int>(shape.threads()), shape.shared_bytes);
    if (result != CUDA_SUCCESS) return result;
    last = {info.handle, shape.threads(), shape.shared_bytes, count};
  }
  const auto room = static_cast<unsigned long long>(last.per_multiprocessor) *
                    static_cast<unsigned>(facts.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
  return shape.blocks() > room ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

/// Launches whose attributes the driver has accepted, by a hash of all that its checks look at: the next one like it
/// need not be asked about.
constinit thread_local std::array<uint64_t, 64> accepted{};

uint64_t mark_of(const FunctionInfo& info, const Shape& shape, const LaunchAttributes& attributes) {
  uint64_t hash = info.handle;
  const auto mix = [&hash](uint64_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15 ^ (hash >> 29); };
  for (const unsigned dimension : shape.block) mix(dimension);
  mix(shape.shared_bytes);
  const wire::Bytes bytes = attributes.encoded();
  static_assert(LaunchAttributes::kEncoded % sizeof(uint64_t) == 0);
  for (size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, &bytes[at], sizeof word);
    mix(word);
  }
  return hash | 1;  // 0 means none
}

bool is_accepted(uint64_t mark) { return accepted[(mark >> 32) % accepted.size()] == mark; }
void set_accepted(uint64_t mark) { accepted[(mark >> 32) % accepted.size()] = mark; }

void put_header(Request& request, const FunctionInfo& info, const Shape& shape) {
  wire::Writer& body = request.body();
  body.put(info.handle);
  for (const unsigned dimension : shape.grid) body.put(dimension);
  for (const unsigned dimension : shape.block) body.put(dimension);
  body.put(shape.shared_bytes);
  request.put(shape.stream);
}

/// Attributes that fit are written in place; the parameters are the record's tail. Many attributes make the tail a copy
/// of both.
struct Body {
  std::span<const uint8_t> tail;
  std::vector<uint8_t> joined;

  Body(Request& request, const LaunchAttributes& attributes, std::span<const uint8_t> parameters) : tail(parameters) {
    const auto count = static_cast<uint32_t>(parameters.size());
    if (attributes.encoded().size() <= LaunchAttributes::kInline) [[likely]] {
      request.body().bytes(attributes.encoded());
      request.body().put(count);
      return;
    }
    request.body().put(static_cast<uint32_t>(attributes.encoded().size()));
    joined.reserve(attributes.encoded().size() + sizeof count + parameters.size());
    joined.insert(joined.end(), attributes.encoded().begin(), attributes.encoded().end());
    const auto* length = reinterpret_cast<const uint8_t*>(&count);
    joined.insert(joined.end(), length, length + sizeof count);
    joined.insert(joined.end(), parameters.begin(), parameters.end());
    tail = joined;
  }
};

/// A capture cannot be waited for, and need not be: nothing runs yet.
CUresult wait_for(CUstream stream) {
  CUstreamCaptureStatus status = CU_STREAM_CAPTURE_STATUS_NONE;
  const CUresult result = cuStreamIsCapturing(stream, &status);
  return result == CUDA_SUCCESS && status == CU_STREAM_CAPTURE_STATUS_NONE ? cuStreamSynchronize(stream) : result;
}

/// Of another context than the current one, and none of its relatives: the driver may refuse it.
bool is_foreign(CUstream stream, const Context& context) {
  if (!has_several_contexts()) [[likely]]
    return false;
  const Context* owner = owner_of(stream);
  return owner != nullptr && !are_family(*owner, context);
}

CUresult submit(FunctionInfo& info, const Shape& shape, const LaunchAttributes& attributes,
                std::span<const uint8_t> parameters, const Context& context) {
  const auto context_handle = reinterpret_cast<uint64_t>(handle_of(context));
  const bool seen = info.is_loaded_in(context_handle);
  const bool waits = every_launch_waits();
  const bool may_block = waits || (!seen && info.loads_lazily());
  const uint64_t mark = attributes.encoded().empty() ? 0 : mark_of(info, shape, attributes);
  const bool asks =
      may_block || is_doubtful(info, shape) || (mark != 0 && !is_accepted(mark)) || is_foreign(shape.stream, context);
  Request request(may_block ? api::Op::launch_sync : api::Op::launch, true);
  put_header(request, info, shape);
  const Body body(request, attributes, parameters);
  const CUresult result = asks ? request.call(body.tail) : request.post(body.tail);
  if (result != CUDA_SUCCESS) return result;
  if (mark != 0) set_accepted(mark);
  if (!seen) info.set_loaded_in(context_handle);
  return waits ? wait_for(shape.stream) : CUDA_SUCCESS;
}

CUresult launch(CUfunction function, const Shape& shape, const LaunchAttributes& attributes, void** parameters,
                void** extra) {
  FunctionInfo* info = functions::find(function);
  if (info == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  const Context* context = current_context();
  if (context == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const DeviceFacts* facts = nullptr;
  CUresult result = device_facts(device_of(*context), facts);
  if (result != CUDA_SUCCESS) return result;
  result = check_shape(shape, *facts);
  if (result == CUDA_SUCCESS) result = attributes.check_cluster(shape.grid);
  if (result == CUDA_SUCCESS && attributes.cooperative()) result = check_cooperative(*info, shape, *facts);
  if (result != CUDA_SUCCESS) return result;
  // A packed block needs no layout; its size is for the driver to check.
  if (extra == nullptr || parameters != nullptr) result = functions::layout(*info);
  if (result != CUDA_SUCCESS) return result;
  ParameterBlock block;
  result = block.pack(info->parameters, info->parameter_bytes, parameters, extra);
  if (result != CUDA_SUCCESS) return result;
  return submit(*info, shape, attributes, block.bytes(), *context);
}

}  // namespace

CUresult cuLaunchKernel(CUfunction f, unsigned gridDimX, unsigned gridDimY, unsigned gridDimZ, unsigned blockDimX,
                        unsigned blockDimY, unsigned blockDimZ, unsigned sharedMemBytes, CUstream hStream,
                        void** kernelParams, void** extra) {
  const LaunchAttributes none;
  return launch(f, {{gridDimX, gridDimY, gridDimZ}, {blockDimX, blockDimY, blockDimZ}, sharedMemBytes, hStream}, none,
                kernelParams, extra);
}

CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned gridDimX, unsigned gridDimY, unsigned gridDimZ,
                                   unsigned blockDimX, unsigned blockDimY, unsigned blockDimZ, unsigned sharedMemBytes,
                                   CUstream hStream, void** kernelParams) {
  LaunchAttributes attributes;
  attributes.add_cooperative();
  return launch(f, {{gridDimX, gridDimY, gridDimZ}, {blockDimX, blockDimY, blockDimZ}, sharedMemBytes, hStream},
                attributes, kernelParams, nullptr);
}

CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction f, void** kernelParams, void** extra) {
  if (config == nullptr) return CUDA_ERROR_INVALID_VALUE;
  LaunchAttributes attributes;
  const CUresult result = attributes.add_all(config->attrs, config->numAttrs);
  if (result != CUDA_SUCCESS) return result;
  return launch(f,
                {{config->gridDimX, config->gridDimY, config->gridDimZ},
                 {config->blockDimX, config->blockDimY, config->blockDimZ},
                 config->sharedMemBytes,
                 config->hStream},
                attributes, kernelParams, extra);
}

}  // namespace vgpu::shim::calls
