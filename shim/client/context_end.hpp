// Who forgets what when a context is destroyed or reset.
#pragma once

namespace vgpu::shim {

/// From the first call on, the end of a context reaches everything in the shim that keeps something per context.
void watch_context_ends();

}  // namespace vgpu::shim
