#include "shim/client/contexts.hpp"

#include <array>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "shim/client/channel.hpp"
#include "shim/client/handles.hpp"
#include "shim/client/object_table.hpp"
#include "shim/client/request.hpp"
#include "shim/client/startup.hpp"
#include "shim/client/thread_state.hpp"

namespace vgpu::shim {
namespace {

constexpr int kMaxDevices = 64;

// Held while a context begins or ends. Recursive: destructors of context-local storage run under it and call back into
// us.
std::recursive_mutex& lifecycle() {
  static auto* const mutex = new std::recursive_mutex;
  return *mutex;
}

constinit ObjectTable<Context*> g_contexts;
constinit std::array<std::atomic<Context*>, kMaxDevices> g_primary{};
constinit std::atomic<unsigned long long> g_next_id{1};
constinit std::atomic<unsigned> g_made{0};  // contexts
constinit std::atomic<void (*)(CUcontext)> g_on_end{nullptr};
constexpr size_t kMaxCallbacks = 16;  // one a module of ours that knows of contexts; more is our own mistake
using Callbacks = std::array<std::atomic<void (*)(Context&)>, kMaxCallbacks>;
constinit Callbacks g_before{};
constinit Callbacks g_after{};

/// Takes no lock: whoever ends a context may wait for work that waits for the caller.
void add(Callbacks& callbacks, void (*callback)(Context&)) {
  for (auto& slot : callbacks) {
    void (*known)(Context&) = nullptr;
    if (slot.compare_exchange_strong(known, callback, std::memory_order_acq_rel) || known == callback) return;
  }
  std::abort();
}

void run_all(const Callbacks& callbacks, Context& context) {
  for (const auto& slot : callbacks)
    if (auto* callback = slot.load(std::memory_order_acquire)) callback(context);
}

Context* make_context(CUdevice device, bool primary) {
  const uint64_t handle = handles(wire::Kind::context).make();
  if (handle == 0) return nullptr;
  auto* context = new Context;  // lives until the process ends: see context.hpp
  context->handle = handle;
  context->device = device;
  context->primary = primary;
  context->id = next_object_id();
  context->legacy_stream_id = next_object_id();
  g_contexts.insert(handle, context);
  g_made.fetch_add(1, std::memory_order_relaxed);
  return context;
}

Context* primary_object(CUdevice device) {
  if (device < 0 || device >= kMaxDevices) return nullptr;
  auto& slot = g_primary[static_cast<size_t>(device)];
  if (Context* context = slot.load(std::memory_order_acquire)) return context;
  const std::lock_guard lock(lifecycle());
  if (slot.load(std::memory_order_relaxed) == nullptr)
    slot.store(make_context(device, true), std::memory_order_release);
  return slot.load(std::memory_order_relaxed);
}

/// Everything that must happen before the host ends the context. Lifecycle lock held.
void prepare_end(Context& context) {
  if (auto* callback = g_on_end.load(std::memory_order_acquire)) callback(handle_of(context));
  run_all(g_before, context);
}

void finish_end(Context& context) {
  context.alive.store(false, std::memory_order_release);
  context.epoch.fetch_add(1, std::memory_order_acq_rel);
  context.references = 0;
  run_all(g_after, context);
}

template <typename Op>
CUresult end_context(Context& context, const Op& op) {
  context.ending.store(true, std::memory_order_release);
  prepare_end(context);
  const CUresult result = call(op);
  if (result == CUDA_SUCCESS) finish_end(context);
  context.ending.store(false, std::memory_order_release);
  return result;
}

/// Asks the worker to make what `made` stands for; `made` is gone if it cannot.
template <typename Op>
CUresult begin_context(Context& made, const Op& op) {
  const CUresult result = call(op);
  if (result != CUDA_SUCCESS) {
    // Nobody else has seen it yet.
    g_contexts.remove(made.handle);
    handles(wire::Kind::context).discard(made.handle);
    delete &made;
    return result;
  }
  made.references = 1;
  made.alive.store(true, std::memory_order_release);
  return CUDA_SUCCESS;
}

CUresult check_device(CUdevice device) {
  if (const CUresult result = initialized(); result != CUDA_SUCCESS) return result;
  return is_device(device) && device < kMaxDevices ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}

/// Contexts that have ended stay as they were: a thread may still hold one as its current, and caches are keyed by
/// address.
void retire(Context& context) {
  static auto* const ended = new std::vector<Context*>;  // guarded by lifecycle()
  ended->push_back(&context);
}

/// An ended context of the program's own leaves the tables.
void drop_context(Context& context) {
  g_contexts.remove(context.handle);
  handles(wire::Kind::context).discard(context.handle);
  retire(context);
}

}  // namespace

unsigned long long next_object_id() { return g_next_id.fetch_add(1, std::memory_order_relaxed); }

Context* current_context() {
  const ThreadState* thread = this_thread_if_any();
  return thread == nullptr || thread->contexts.empty() ? nullptr : thread->contexts.back();
}
Context* find_context(CUcontext handle) {
  Context** entry = g_contexts.find(reinterpret_cast<uint64_t>(handle));
  return entry == nullptr ? nullptr : *entry;
}
CUcontext handle_of(const Context& context) { return reinterpret_cast<CUcontext>(context.handle); }
CUdevice device_of(const Context& context) { return context.device; }
unsigned long long id_of(const Context& context) { return context.id; }
bool is_alive(const Context& context) { return context.alive.load(std::memory_order_acquire); }
CUcontext primary_context(CUdevice device) {
  const Context* context = primary_object(device);
  return context == nullptr ? nullptr : handle_of(*context);
}
void on_context_end(void (*callback)(CUcontext context)) { g_on_end.store(callback, std::memory_order_release); }
void before_context_end(void (*callback)(Context& context)) { add(g_before, callback); }
void after_context_end(void (*callback)(Context& context)) { add(g_after, callback); }

CUresult retain_primary(CUdevice device, Context*& context) {
  if (const CUresult result = check_device(device); result != CUDA_SUCCESS) return result;
  Context* primary = primary_object(device);
  if (primary == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::lock_guard lock(lifecycle());
  if (primary->references == 0) {
    const CUresult result = call(api::ops::PrimaryRetain{static_cast<uint32_t>(device), {primary->handle}});
    if (result != CUDA_SUCCESS) return result;
    primary->alive.store(true, std::memory_order_release);
  }
  ++primary->references;
  context = primary;
  return CUDA_SUCCESS;
}

CUresult release_primary(CUdevice device) {
  if (const CUresult result = check_device(device); result != CUDA_SUCCESS) return result;
  Context* primary = primary_object(device);
  const std::lock_guard lock(lifecycle());
  if (primary == nullptr || primary->references == 0) return CUDA_ERROR_INVALID_CONTEXT;
  if (primary->references > 1) {
    --primary->references;
    return CUDA_SUCCESS;
  }
  return end_context(*primary, api::ops::PrimaryRelease{static_cast<uint32_t>(device)});
}

CUresult reset_primary(CUdevice device) {
  if (const CUresult result = check_device(device); result != CUDA_SUCCESS) return result;
  Context* primary = primary_object(device);
  const std::lock_guard lock(lifecycle());
  if (primary == nullptr || primary->references == 0) return CUDA_SUCCESS;
  const CUresult result = end_context(*primary, api::ops::PrimaryReset{static_cast<uint32_t>(device)});
  const Channel* channel = open_channel();
  if (result == CUDA_SUCCESS || channel == nullptr || channel->health() == CUDA_SUCCESS) return result;
  finish_end(*primary);  // after a sticky error a reset succeeds, and the next retain tells the error
  return CUDA_SUCCESS;
}

CUresult set_primary_flags(CUdevice device, unsigned flags, bool refuse_if_active) {
  if (const CUresult result = check_device(device); result != CUDA_SUCCESS) return result;
  Context* primary = primary_object(device);
  if (primary == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  const std::lock_guard lock(lifecycle());
  if (refuse_if_active && primary->references != 0) return CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE;
  const CUresult result = call(api::ops::PrimarySetFlags{static_cast<uint32_t>(device), flags});
  if (result == CUDA_SUCCESS) primary->flags.store(flags, std::memory_order_relaxed);
  return result;
}

CUresult primary_state(CUdevice device, unsigned& flags, bool& active) {
  if (const CUresult result = check_device(device); result != CUDA_SUCCESS) return result;
  const Context* primary = primary_object(device);
  flags = primary == nullptr ? 0 : primary->flags.load(std::memory_order_relaxed);
  active = primary != nullptr && is_alive(*primary);
  return CUDA_SUCCESS;
}

CUresult create_context(CUdevice device, unsigned flags, unsigned api_version, Context*& context) {
  if (const CUresult result = check_device(device); result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(lifecycle());
  Context* made = make_context(device, false);
  if (made == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  made->api_version = api_version;
  made->flags.store(flags, std::memory_order_relaxed);
  context = made;
  return begin_context(*made, api::ops::ContextCreate{static_cast<uint32_t>(device), flags, {made->handle}});
}

CUresult destroy_context(Context& context) {
  const std::lock_guard lock(lifecycle());
  if (context.primary || context.green || !is_alive(context)) return CUDA_ERROR_INVALID_CONTEXT;
  const CUresult result = end_context(context, api::ops::ContextDestroy{{context.handle}});
  if (result != CUDA_SUCCESS) return result;
  drop_context(context);
  if (current_context() == &context) pop_context();
  return CUDA_SUCCESS;
}

CUresult create_green_context(uint64_t description, CUdevice device, unsigned flags, Context*& context) {
  if (const CUresult result = check_device(device); result != CUDA_SUCCESS) return result;
  const std::lock_guard lock(lifecycle());
  Context* made = make_context(device, false);
  if (made == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
  made->green = true;
  context = made;
  return begin_context(*made, api::ops::GreenCreate{description, static_cast<uint32_t>(device), flags, {made->handle}});
}

CUresult destroy_green_context(Context& context) {
  const std::lock_guard lock(lifecycle());
  if (!context.green) return CUDA_ERROR_INVALID_CONTEXT;
  if (!is_alive(context)) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  const CUresult result = end_context(context, api::ops::GreenDestroy{{context.handle}});
  if (result == CUDA_SUCCESS) drop_context(context);
  return result;
}

CUresult attach_context(Context& context) {
  const std::lock_guard lock(lifecycle());
  if (!is_alive(context)) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  ++context.references;
  return CUDA_SUCCESS;
}

CUresult detach_context(Context& context) {
  const std::lock_guard lock(lifecycle());
  if (context.references > 1) {
    --context.references;
    return CUDA_SUCCESS;
  }
  return context.primary ? release_primary(context.device) : destroy_context(context);
}

bool has_several_contexts() { return g_made.load(std::memory_order_relaxed) > 1; }

Context* memory_owner() {
  Context* current = current_context();
  if (current == nullptr || !current->green) return current;
  Context* primary = primary_object(current->device);
  return primary != nullptr && is_alive(*primary) ? primary : current;
}

bool are_family(const Context& one, const Context& other) {
  const auto shares_primary = [](const Context& context) { return context.primary || context.green; };
  return &one == &other || (one.device == other.device && shares_primary(one) && shares_primary(other));
}

void push_context(Context* context) { this_thread().contexts.push_back(context); }

Context* pop_context() {
  auto& stack = this_thread().contexts;
  if (stack.empty()) return nullptr;
  Context* top = stack.back();
  stack.pop_back();
  return top;
}

void set_current_context(Context* context) {
  auto& stack = this_thread().contexts;
  if (context == nullptr) {
    if (!stack.empty()) stack.pop_back();
  } else if (stack.empty()) {
    stack.push_back(context);
  } else {
    stack.back() = context;
  }
}

}  // namespace vgpu::shim
