// A driver that does nothing but remember, for tests of who calls what when. Its GPU stands still until it is told that
// it has finished.
#pragma once

#include <atomic>
#include <cstdint>

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
  std::atomic<unsigned> events_created{0};
  std::atomic<unsigned> images_loaded{0};
  std::atomic<unsigned> library_begins_with{0};  ///< first byte of the last library's image
  std::atomic<int> create_failure{0};            ///< CUresult of every cuEventCreate, if not 0
  std::atomic<int> record_failure{0};            ///< CUresult of every cuEventRecord, if not 0
  std::atomic<uint64_t> set_width{0};            ///< of the last fill
  std::atomic<uint64_t> copy_pitch{0};           ///< of the source of the last copy in two dimensions
  std::atomic<uint64_t> graph_nodes{1};          ///< of every graph
  std::atomic<const void*> capturing{nullptr};   ///< the stream that is captured
};
State& state();

/// Sizes at which cuMemAlloc throws what no driver throws.
inline constexpr size_t kThrowsBadAlloc = 0xbad1;
inline constexpr size_t kThrows = 0xbad2;

/// Forgets everything, and gives a table of the functions.
vgpu::worker::DriverLibrary open();

}  // namespace fake
