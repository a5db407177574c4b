#include "shim/client/context_end.hpp"

#include <mutex>

#include "shim/client/capture_state.hpp"
#include "shim/client/code_objects.hpp"
#include "shim/client/context.hpp"
#include "shim/client/context_storage.hpp"
#include "shim/client/functions.hpp"

namespace vgpu::shim {
namespace {

void ended(CUcontext context) {
  // Destructors first: they may still look something up.
  context_storage::context_ended(context);
  capture::forget_context(context);
  code_objects::forget_context(context);
  functions::context_ended();
}

}  // namespace

void watch_context_ends() {
  static std::once_flag once;
  std::call_once(once, [] { on_context_end(&ended); });
}

}  // namespace vgpu::shim
