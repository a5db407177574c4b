// A driver that does nothing but remember, for tests of who calls what when. Its GPU stands still until it is told that
// it has finished.
#pragma once

#include <atomic>

#include "worker/driver/library.hpp"

namespace fake {

/// One for the process: the driver's functions are plain C.
struct State {
  std::atomic<bool> finished{true};        ///< whether events are complete
  std::atomic<int> failure{0};             ///< CUresult of every query of an event, if not 0
  std::atomic<unsigned> fences{0};         ///< calls of cuCtxRecordEvent
  std::atomic<unsigned> frees{0};          ///< calls of cuMemFree
  std::atomic<unsigned> context_waits{0};  ///< calls of cuCtxSynchronize: the dispatcher blocks in them
  std::atomic<unsigned> streams_created{0};
};
State& state();

/// Forgets everything, and gives a table of the functions.
vgpu::worker::DriverLibrary open();

}  // namespace fake
