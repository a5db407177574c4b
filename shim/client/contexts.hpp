// Contexts from the inside: what context.hpp keeps from those who only ask.
#pragma once

#include <atomic>

#include "shim/client/context.hpp"
#include "shim/client/flow_control.hpp"

namespace vgpu::shim {

struct Context {
  uint64_t handle = 0;
  CUdevice device = 0;
  unsigned api_version = 3020;
  bool primary = false;
  bool green = false;  // of a green context, whose handle is the same number
  unsigned long long id = 0;
  unsigned long long legacy_stream_id = 0;
  std::atomic<unsigned> flags{0};
  std::atomic<bool> alive{false};
  std::atomic<bool> ending{false};  // somebody ends it: nobody starts to wait for its work any more
  std::atomic<uint32_t> epoch{0};   // counts its ends: what was made in an earlier epoch is gone
  FlowPointer legacy_flow;
  unsigned references = 0;  // retains, or cuCtxAttach; guarded by the lifecycle lock
};

/// Primary contexts.
CUresult retain_primary(CUdevice device, Context*& context);
CUresult release_primary(CUdevice device);
CUresult reset_primary(CUdevice device);
CUresult set_primary_flags(CUdevice device, unsigned flags, bool refuse_if_active);
CUresult primary_state(CUdevice device, unsigned& flags, bool& active);

/// A context of the program's own, not yet current anywhere.
CUresult create_context(CUdevice device, unsigned flags, unsigned api_version, Context*& context);
CUresult destroy_context(Context& context);
/// A green context and the context that stands for it are one object.
CUresult create_green_context(uint64_t description, CUdevice device, unsigned flags, Context*& context);
CUresult destroy_green_context(Context& context);
CUresult attach_context(Context& context);
CUresult detach_context(Context& context);

/// Whether the program has had more than one context: only then can anything be of another one than the current.
bool has_several_contexts();

/// The one that memory made now belongs to: the current one, or the primary context where a green one of its is
/// current.
Context* memory_owner();

/// Whether events of one go with streams of the other: the primary context and the green ones of its device.
bool are_family(const Context& one, const Context& other);

/// The calling thread's stack.
void push_context(Context* context);
Context* pop_context();
void set_current_context(Context* context);

/// Numbers for contexts and streams: unique in the process, never 0.
unsigned long long next_object_id();

/// Called when a context is about to end, while it still works: close what the host holds for it.
void before_context_end(void (*callback)(Context& context));
/// Called when it is gone: forget what lived in it.
void after_context_end(void (*callback)(Context& context));

}  // namespace vgpu::shim
