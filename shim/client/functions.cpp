#include "shim/client/functions.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>

#include "shim/client/object_table.hpp"
#include "shim/client/request.hpp"

namespace vgpu::shim {
namespace {

std::atomic<uint32_t> epoch{1};

uint64_t stamped(uint32_t value) { return static_cast<uint64_t>(epoch.load(std::memory_order_relaxed)) << 32 | value; }
bool is_current(uint64_t stamp) { return (stamp >> 32) == epoch.load(std::memory_order_relaxed); }

// The pointers' targets are never freed, only used again for later functions: a launch that races with the unloading of
// its module (an error of the program) reads another function's facts, not freed memory.
ObjectTable<FunctionInfo*> function_table;
ObjectTable<FunctionInfo*> kernel_table;
std::mutex spare_mutex;
// Never destroyed: libraries unload their code until the very end of the process.
auto& spare = *new std::vector<std::unique_ptr<FunctionInfo>>;

ObjectTable<FunctionInfo*>* table_of(uint64_t handle) {
  switch (wire::kind_of(handle)) {
    case wire::Kind::function:
      return &function_table;
    case wire::Kind::kernel:
      return &kernel_table;
    default:
      return nullptr;
  }
}

std::unique_ptr<FunctionInfo> fresh(functions::Description&& description) {
  std::unique_ptr<FunctionInfo> info;
  {
    const std::lock_guard lock(spare_mutex);
    if (!spare.empty()) {
      info = std::move(spare.back());
      spare.pop_back();
    }
  }
  if (info == nullptr) info = std::make_unique<FunctionInfo>();
  info->handle = description.handle;
  info->owner = description.owner;
  info->kernel = description.kernel;
  info->device = description.device;
  info->name = std::move(description.name);
  info->parameters.clear();
  info->parameter_bytes = 0;
  info->layout_known.store(false, std::memory_order_relaxed);
  info->counts_as_loaded.store(false, std::memory_order_relaxed);
  for (auto& cache : info->per_device) cache.forget();
  for (auto& context : info->loaded) context.store(0, std::memory_order_relaxed);
  return info;
}

void complete_layout(FunctionInfo& info) {
  for (const Parameter& parameter : info.parameters)
    info.parameter_bytes = std::max(info.parameter_bytes, static_cast<size_t>(parameter.offset) + parameter.size);
  // release: pairs with the acquire load in layout(); the parameters are complete before they are said to be.
  info.layout_known.store(true, std::memory_order_release);
}

FunctionInfo* publish(std::unique_ptr<FunctionInfo> info) {
  FunctionInfo* raw = info.release();
  table_of(raw->handle)->insert(raw->handle, raw);
  return raw;
}

void append(std::vector<Parameter>& to, wire::Bytes layout) {
  for (size_t at = 0; at + sizeof(Parameter) <= layout.size(); at += sizeof(Parameter)) {
    Parameter parameter;
    std::memcpy(&parameter, layout.data() + at, sizeof parameter);
    to.push_back(parameter);
  }
}

/// Fetches the parameters that the reply which introduced the handle did not hold. `count` may be kLayoutUnknown.
CUresult fetch_rest(FunctionInfo& info, uint32_t count) {
  while (info.parameters.size() < count) {
    const api::ops::FunctionParameters ask{.id = {info.handle}, .first = static_cast<uint32_t>(info.parameters.size())};
    Request request(api::ops::FunctionParameters::kOp, api::ops::FunctionParameters::kNeedsContext);
    api::ops::FunctionParametersReply reply;
    const CUresult result = call(request, ask, reply);
    if (result != CUDA_SUCCESS) return result;
    const size_t before = info.parameters.size();
    append(info.parameters, reply.parameters);
    count = reply.parameter_count;
    if (info.parameters.size() == before && before < count) return CUDA_ERROR_UNKNOWN;
  }
  return CUDA_SUCCESS;
}

}  // namespace

std::optional<int> AttributeCache::get(CUfunction_attribute attribute) const {
  if (attribute >= values_.size()) return std::nullopt;
  const uint64_t stamp = values_[attribute].load(std::memory_order_relaxed);
  if (!is_current(stamp)) return std::nullopt;
  return static_cast<int>(static_cast<uint32_t>(stamp));
}

void AttributeCache::put(CUfunction_attribute attribute, int value) {
  if (attribute < values_.size())
    values_[attribute].store(stamped(static_cast<uint32_t>(value)), std::memory_order_relaxed);
}

void AttributeCache::forget() {
  for (auto& value : values_) value.store(0, std::memory_order_relaxed);
}

bool FunctionInfo::is_loaded_in(uint64_t context) const {
  const uint64_t wanted = stamped(wire::index_of(context));
  return std::any_of(loaded.begin(), loaded.end(),
                     [wanted](const auto& stamp) { return stamp.load(std::memory_order_relaxed) == wanted; });
}

void FunctionInfo::set_loaded_in(uint64_t context) {
  const unsigned place = next_loaded.fetch_add(1, std::memory_order_relaxed) % kCachedContexts;
  loaded[place].store(stamped(wire::index_of(context)), std::memory_order_relaxed);
}

namespace functions {

FunctionInfo* find(uint64_t handle) {
  ObjectTable<FunctionInfo*>* table = table_of(handle);
  if (table == nullptr) return nullptr;
  FunctionInfo** info = table->find(handle);
  return info != nullptr ? *info : nullptr;
}

CUresult layout(FunctionInfo& info) {
  if (info.layout_known.load(std::memory_order_acquire)) [[likely]]
    return CUDA_SUCCESS;
  static std::mutex fetching;
  const std::lock_guard lock(fetching);
  if (info.layout_known.load(std::memory_order_relaxed)) return CUDA_SUCCESS;
  info.parameters.clear();
  const CUresult result = fetch_rest(info, kLayoutUnknown);
  if (result == CUDA_SUCCESS) complete_layout(info);
  return result;
}

CUresult add(Description description, uint32_t count, wire::Bytes layout, FunctionInfo*& info) {
  auto made = fresh(std::move(description));
  if (count != kLayoutUnknown) {
    append(made->parameters, layout);
    if (made->parameters.size() > count) made->parameters.resize(count);
    const CUresult result = fetch_rest(*made, count);
    if (result != CUDA_SUCCESS) return result;
    complete_layout(*made);
  }
  info = publish(std::move(made));
  return CUDA_SUCCESS;
}

FunctionInfo* add_like(Description description, const FunctionInfo& model) {
  auto made = fresh(std::move(description));
  if (model.layout_known.load(std::memory_order_acquire)) {
    made->parameters = model.parameters;
    complete_layout(*made);
  }
  return publish(std::move(made));
}

void forget(uint64_t handle) {
  FunctionInfo* info = find(handle);
  if (info == nullptr || !table_of(handle)->remove(handle)) return;
  const std::lock_guard lock(spare_mutex);
  spare.emplace_back(info);
}

void forget_relatives(const FunctionInfo& changed) {
  const uint64_t kernel = changed.is_kernel() ? changed.handle : changed.kernel;
  if (kernel == 0) return;
  const auto forget = [](FunctionInfo& info) {
    for (auto& cache : info.per_device) cache.forget();
  };
  if (FunctionInfo* origin = find(kernel); origin != nullptr && origin != &changed) forget(*origin);
  function_table.each([&](uint64_t, FunctionInfo* info) {
    if (info->kernel == kernel && info != &changed) forget(*info);
  });
}

void context_ended() { epoch.fetch_add(1, std::memory_order_relaxed); }

}  // namespace functions
}  // namespace vgpu::shim
