// The devices of the process and everything that hangs on them. Created at the first use and never destroyed: threads
// of streams may run until the process ends.
#pragma once

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "worker/sim/device/context.hpp"
#include "worker/sim/device/event.hpp"
#include "worker/sim/device/graph_exec.hpp"
#include "worker/sim/device/graph_memory.hpp"
#include "worker/sim/device/handle_table.hpp"
#include "worker/sim/device/loaded_module.hpp"
#include "worker/sim/device/memory_pool.hpp"
#include "worker/sim/device/physical_memory.hpp"
#include "worker/sim/device/ptx_link.hpp"
#include "worker/sim/memory/device_arena.hpp"
#include "worker/sim/memory/host_ranges.hpp"

namespace vgpu::sim::device {

struct Settings {
  std::uint64_t seed = 1;                   ///< VGPU_SIM_SEED; 0: no delays, no reordering
  std::uint64_t memory_bytes = 4ull << 30;  ///< VGPU_SIM_MEMORY, in bytes or with K, M, G; of each device
  unsigned devices = 1;                     ///< VGPU_SIM_DEVICES
};

/// A device that the process sees. Its number is its place in Simulator::devices.
struct Device {
  unsigned index = 0;  ///< among all there are: its address and UUID come of it

  // The primary context: its handle is the same for ever, the context behind it comes and goes.
  std::mutex mutex;
  std::shared_ptr<Context> primary;
  std::uint64_t primary_handle = 0;
  unsigned primary_flags = 0;
  int primary_users = 0;
  cuda::CUresult primary_error =
      cuda::CUDA_SUCCESS;  ///< sticky error of one that was reset: there is no other any more

  std::shared_ptr<MemoryPool> default_pool;
  std::shared_ptr<MemoryPool> current_pool;  ///< guarded by mutex
};

class Simulator {
 public:
  static Simulator& get();

  const Settings& settings() const { return settings_; }

  /// Those that CUDA_VISIBLE_DEVICES leaves, in its order.
  std::vector<std::unique_ptr<Device>> devices;
  bool has(int device) const { return device >= 0 && static_cast<std::size_t>(device) < devices.size(); }

  memory::DeviceArena arena;
  memory::HostRanges host;
  GraphMemory graph_memory{arena};
  PhysicalMemories physical;

  /// Held exclusively by calls that wait for the context and hold up other threads' submissions meanwhile.
  std::shared_mutex gate;
  /// Held by allocations and creations, and by what holds them up.
  std::mutex allocation_gate;
  /// Guards the captures and graphs of all streams.
  std::mutex capture_mutex;
  std::vector<std::shared_ptr<Capture>> captures;

  HandleTable<Context> contexts;
  HandleTable<Stream> streams;
  HandleTable<Event> events;
  HandleTable<LoadedModule> modules;
  HandleTable<Library> libraries;
  HandleTable<FunctionObject> functions;
  HandleTable<KernelObject> kernels;
  HandleTable<Graph> graphs;
  HandleTable<GraphExec> graph_execs;
  HandleTable<GraphNode> graph_nodes;
  HandleTable<MemoryPool> pools;
  HandleTable<PtxLink> links;

  /// Gives back everything that belongs to a context, and ends it.
  void destroy_context(const std::shared_ptr<Context>& context);

 private:
  explicit Simulator(Settings settings);

  const Settings settings_;
};

}  // namespace vgpu::sim::device
