// While one thread is in a call that waits for the whole context (cuMemFree, a module load), the driver holds up what
// other threads submit, and lets their questions through (measured, E9). So do we: the GPU comes to rest, the call is
// done, and the worker need not hold back everybody's records to get there.
#pragma once

#include "common/api/ops.gen.hpp"

namespace vgpu::shim {

/// Whether others' submissions pause while this operation waits for its answer.
bool pauses_others(api::Op op);

/// One such wait.
class Pause {
 public:
  explicit Pause(bool begin);
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
  ~Pause();

 private:
  const bool begun_;
};

/// Waits for the end of pauses if the operation submits work; one relaxed load when there is none.
void wait_while_paused(api::Op op);

}  // namespace vgpu::shim
