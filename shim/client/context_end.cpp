#include "shim/client/context_end.hpp"

#include <mutex>

#include "shim/client/capture_state.hpp"
#include "shim/client/code_objects.hpp"
#include "shim/client/context_storage.hpp"
#include "shim/client/contexts.hpp"
#include "shim/client/functions.hpp"

namespace vgpu::shim {
namespace {

void forget(Context& context) {
  capture::forget_context(handle_of(context));
  code_objects::forget_context(handle_of(context));
  functions::context_ended();
}

}  // namespace

void watch_context_ends() {
  static std::once_flag once;
  std::call_once(once, [] {
    // The destructors of stored values come first: they may still use the context.
    on_context_end(&context_storage::context_ended);
    after_context_end(&forget);
  });
}

}  // namespace vgpu::shim
