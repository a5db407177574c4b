// Parts of a device, and green contexts made of them. A green context and the driver's context that stands for it have
// one handle here, the context's.
#include <algorithm>
#include <cstring>
#include <vector>

#include "worker/handlers/context_ends.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

constexpr unsigned kMostParts = 141;  // as many as a reply takes, besides what remains
constexpr size_t kMostDescribed = 142;

void put_sizes(std::vector<uint8_t>& to, const CUdevResource& resource) {
  for (const unsigned size :
       {resource.sm.smCount, resource.sm.minSmPartitionSize, resource.sm.smCoscheduledAlignment}) {
    to.push_back(static_cast<uint8_t>(size));
    to.push_back(static_cast<uint8_t>(size >> 8));
  }
}

template <typename Reply>
void give(Session& session, const CUdevResource& resource, Call& call) {
  std::vector<uint8_t> sizes;
  put_sizes(sizes, resource);
  Reply{session.resources().keep({resource}), sizes}.encode(call.reply());
}

/// What the driver says of one context's resources; its own kind of call for a green one.
CUresult ask(Session& session, const ContextState& context, unsigned type, CUdevResource& resource) {
  const DriverTable& driver = session.driver();
  if (context.green != nullptr)
    return driver.cuGreenCtxGetDevResource == nullptr ? CUDA_ERROR_NOT_SUPPORTED
                                                      : driver.cuGreenCtxGetDevResource(context.green, &resource, type);
  return driver.cuCtxGetDevResource == nullptr ? CUDA_ERROR_NOT_SUPPORTED
                                               : driver.cuCtxGetDevResource(context.real, &resource, type);
}

}  // namespace

void device_resource(Session& session, const api::ops::DeviceResource& op, Call& call) {
  const auto get = session.driver().cuDeviceGetDevResource;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  CUdevResource resource{};
  const CUresult result = get(static_cast<int>(op.device), &resource, op.type);
  if (result == CUDA_SUCCESS) give<api::ops::DeviceResourceReply>(session, resource, call);
  call.finish(result);
}

void context_resource(Session& session, const api::ops::ContextResource& op, Call& call) {
  const ContextState* context = session.contexts().find(op.id.value);
  if (context == nullptr) return call.finish(CUDA_ERROR_INVALID_CONTEXT);
  CUdevResource resource{};
  const CUresult result = ask(session, *context, op.type, resource);
  if (result == CUDA_SUCCESS) give<api::ops::ContextResourceReply>(session, resource, call);
  call.finish(result);
}

void resource_split(Session& session, const api::ops::ResourceSplit& op, Call& call) {
  const auto split = session.driver().cuDevSmResourceSplitByCount;
  const CUdevResource* known = session.resources().find(op.resource);
  if (split == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (known == nullptr) return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (op.groups > kMostParts) return call.finish(session.violation("a split into more parts than an answer takes"));
  const CUdevResource input = *known;
  unsigned groups = op.groups;
  std::vector<CUdevResource> parts(op.count_only != 0 ? 0 : op.groups);
  CUdevResource remaining{};
  const CUresult result =
      split(parts.empty() ? nullptr : parts.data(), &groups, &input, &remaining, op.flags, op.least);
  if (result != CUDA_SUCCESS) return call.finish(result);
  parts.resize(std::min<size_t>(groups, parts.size()));
  uint64_t first = 0;
  std::vector<uint8_t> sizes;
  if (op.count_only == 0) {
    parts.push_back(remaining);
    first = session.resources().keep(parts);
    for (const CUdevResource& part : parts) put_sizes(sizes, part);
  }
  api::ops::ResourceSplitReply{groups, first, sizes}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

void resource_describe(Session& session, const api::ops::ResourceDescribe& op, Call& call) {
  const auto generate = session.driver().cuDevResourceGenerateDesc;
  if (generate == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  std::vector<uint64_t> numbers(op.resources.size() / sizeof(uint64_t));
  if (op.resources.size() % sizeof(uint64_t) != 0 || numbers.size() > kMostDescribed)
    return call.finish(session.violation("a list of resources of the wrong length"));
  if (!numbers.empty()) std::memcpy(numbers.data(), op.resources.data(), op.resources.size());
  uint64_t description = session.resources().described(numbers);
  CUresult result = CUDA_SUCCESS;
  if (description == 0) {
    std::vector<CUdevResource> list;
    for (const uint64_t number : numbers) {
      const CUdevResource* known = session.resources().find(number);
      if (known == nullptr) return call.finish(CUDA_ERROR_INVALID_VALUE);
      list.push_back(*known);
    }
    if (!session.resources().may_describe()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
    CUdevResourceDesc made = nullptr;
    result = generate(&made, list.data(), static_cast<unsigned>(list.size()));
    if (result == CUDA_SUCCESS) description = session.resources().describe(numbers, made);
  }
  api::ops::ResourceDescribeReply{description}.encode(call.reply());
  call.finish(result);
}

void green_create(Session& session, const api::ops::GreenCreate& op, Call& call) {
  const DriverTable& driver = session.driver();
  if (driver.cuGreenCtxCreate == nullptr || driver.cuCtxFromGreenCtx == nullptr || driver.cuGreenCtxDestroy == nullptr)
    return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (const CUresult refused =
          check_new(session, session.contexts(), op.id.value, "a context handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  const CUdevResourceDesc description = session.resources().description(op.description);
  if (description == nullptr) return call.finish(CUDA_ERROR_INVALID_VALUE);
  ContextState state;
  CUresult result = driver.cuGreenCtxCreate(&state.green, description, static_cast<int>(op.device), op.flags);
  if (result != CUDA_SUCCESS) return call.finish(result);
  result = driver.cuCtxFromGreenCtx(&state.real, state.green);
  if (result != CUDA_SUCCESS) {
    driver.cuGreenCtxDestroy(state.green);
    return call.finish(result);
  }
  state.device = static_cast<int>(op.device);
  session.contexts().note_sharing();
  call.finish(adopt(session, op.id.value, std::move(state)));
}

void green_destroy(Session& session, const api::ops::GreenDestroy& op, Call& call) {
  const ContextState* context = session.contexts().find(op.id.value);
  if (context == nullptr || context->green == nullptr) return call.finish(CUDA_ERROR_INVALID_CONTEXT);
  const CUgreenCtx green = context->green;
  forget(session, op.id.value);
  session.contexts().drop(op.id.value);
  call.finish(session.driver().cuGreenCtxDestroy(green));
}

void green_stream_create(Session& session, const api::ops::GreenStreamCreate& op, Call& call) {
  const auto create = session.driver().cuGreenCtxStreamCreate;
  const ContextState* context = session.contexts().find(op.id.value);
  if (create == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (context == nullptr || context->green == nullptr) return call.finish(CUDA_ERROR_INVALID_CONTEXT);
  if (const CUresult refused =
          check_new(session, session.objects().streams, op.made.value, "a stream handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUstream real = nullptr;
  const CUresult result = create(&real, context->green, op.flags, op.priority);
  if (result == CUDA_SUCCESS) session.objects().streams.bind(op.made.value, {real, op.id.value, op.flags, 0, nullptr});
  call.finish(result);
}

void context_record_event(Session& session, const api::ops::ContextRecordEvent& op, Call& call) {
  const auto record = session.driver().cuCtxRecordEvent;
  const ContextState* context = session.contexts().find(op.id.value);
  const Event* event = session.objects().events.find(op.what.value);
  if (record == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (context == nullptr) return call.finish(CUDA_ERROR_INVALID_CONTEXT);
  if (event == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  call.finish(record(context->real, event->real));
}

void context_wait_event(Session& session, const api::ops::ContextWaitEvent& op, Call& call) {
  const auto wait = session.driver().cuCtxWaitEvent;
  const ContextState* context = session.contexts().find(op.id.value);
  const Event* event = session.objects().events.find(op.what.value);
  if (wait == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (context == nullptr) return call.finish(CUDA_ERROR_INVALID_CONTEXT);
  if (event == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = wait(context->real, event->real);
  // Whatever is asked to wait for the context from now on waits for the event as well.
  constexpr uint64_t kLegacy = 1;
  if (result == CUDA_SUCCESS) session.dispatcher().count_in(op.id.value, kLegacy);
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
