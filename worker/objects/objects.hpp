// Everything a client's handles stand for, by kind.
#pragma once

#include <cstdint>
#include <set>

#include "common/api/cuda_types.hpp"
#include "worker/objects/arrays.hpp"
#include "worker/objects/graph_nodes.hpp"
#include "worker/objects/handle_table.hpp"
#include "worker/objects/limits.hpp"

namespace vgpu::worker {

using namespace vgpu::cuda;

/// A stream of the client. `submitted` and `completed` count in the units of its context's ContextState::submitted.
struct Stream {
  CUstream real = nullptr;
  uint64_t context = 0;  ///< handle
  unsigned flags = 0;
  uint64_t submitted = 0;          ///< when work was last submitted to it
  CUevent credit_event = nullptr;  ///< recorded at the last credit; of the context's pool
  bool is_non_blocking() const { return (flags & CU_STREAM_NON_BLOCKING) != 0; }
};

struct Event {
  CUevent real = nullptr;
  uint64_t context = 0;
};

/// A function or a kernel: what the launch path needs to know of it.
struct Function {
  CUfunction real = nullptr;  ///< a CUkernel where the handle's kind is kernel
  uint64_t owner = 0;         ///< module or library
  uint64_t context = 0;       ///< that it goes with; 0 for kernels, which live in their library
};

struct Module {
  CUmodule real = nullptr;
  uint64_t owner = 0;  ///< library whose module it is, or 0: loaded by the client
  uint64_t context = 0;
};

/// A graph, or its executable form.
template <typename Real>
struct Nodes {
  Real real = nullptr;
  uint64_t count = 0;           ///< of nodes, those of graphs inside it included
  unsigned depth = 0;           ///< of graphs inside it
  uint64_t owner = 0;           ///< handle of the graph whose node holds it; 0: it is the client's to destroy
  uint64_t holder = 0;          ///< that node
  uint64_t capturing = 0;       ///< handle of the stream whose capture makes it, until that ends
  unsigned inside = 0;          ///< of how many nodes' graphs
  CUgraph made_from = nullptr;  ///< of an executable graph
};
using Graph = Nodes<CUgraph>;
using Exec = Nodes<CUgraphExec>;

class Objects {
 public:
  HandleTable<Stream> streams{wire::Kind::stream, kMostStreams};
  HandleTable<Event> events{wire::Kind::event, kMostEvents};
  HandleTable<Module> modules{wire::Kind::module, kMostModules};
  HandleTable<CUlibrary> libraries{wire::Kind::library, kMostLibraries};
  HandleTable<Function> functions{wire::Kind::function, kMostFunctions};
  HandleTable<Function> kernels{wire::Kind::kernel, kMostFunctions};
  HandleTable<Graph> graphs{wire::Kind::graph, kMostGraphs};
  HandleTable<Exec> execs{wire::Kind::exec, kMostGraphs};
  HandleTable<CUmemoryPool> pools{wire::Kind::pool, kMostPools};
  Arrays arrays;
  HandleTable<Reference<CUtexref>> texrefs{wire::Kind::texref, kMostReferences};
  HandleTable<Reference<CUsurfref>> surfrefs{wire::Kind::surfref, kMostReferences};
  ObjectNumbers textures;
  ObjectNumbers surfaces;
  GraphNodes nodes;
  uint64_t node_count = 0;        ///< of all graphs and executable graphs
  std::set<uint64_t> conditions;  ///< handles of conditional nodes, as the driver gave them

  /// A function by a handle of either kind: the driver takes a CUkernel where it says CUfunction.
  Function* function(uint64_t handle) {
    return wire::kind_of(handle) == wire::Kind::kernel ? kernels.find(handle) : functions.find(handle);
  }

  // What generated code asks for.
  bool find(uint64_t handle, CUstream& out);
  bool find(uint64_t handle, CUfunction& out);
  bool find(uint64_t handle, CUkernel& out);
  bool find(uint64_t handle, CUmemoryPool& out);
  bool find(uint64_t handle, CUarray& out) { return arrays.find(handle, out); }
  bool find(uint64_t handle, CUmipmappedArray& out) { return arrays.find(handle, out); }
  bool find(uint64_t handle, CUtexref& out) { return find_real(texrefs, handle, out); }
  bool find(uint64_t handle, CUsurfref& out) { return find_real(surfrefs, handle, out); }
  bool find(uint64_t handle, CUgraphNode& out) { return (out = nodes.find(handle)) != nullptr; }
  bool can_bind(uint64_t handle, wire::Kind kind) const { return kind == wire::Kind::pool && pools.can_bind(handle); }
  bool is_beyond_limit(uint64_t handle, wire::Kind kind) const {
    return kind == wire::Kind::pool && pools.is_beyond_limit(handle);
  }
  void bind(uint64_t handle, CUmemoryPool pool) { pools.bind(handle, pool); }
  /// One pool may have several handles: none of them may outlive it.
  void drop(uint64_t handle) {
    if (const CUmemoryPool* found = pools.find(handle))
      pools.drop_if([gone = *found](uint64_t, CUmemoryPool pool) { return pool == gone; });
  }

 private:
  template <typename Table, typename Real>
  static bool find_real(Table& table, uint64_t handle, Real& out) {
    const auto* found = table.find(handle);
    if (found != nullptr) out = found->real;
    return found != nullptr;
  }
};

inline bool Objects::find(uint64_t handle, CUstream& out) {
  if (handle == 1) {
    out = CU_STREAM_LEGACY;
    return true;
  }
  const Stream* stream = streams.find(handle);
  if (stream != nullptr) out = stream->real;
  return stream != nullptr;
}

inline bool Objects::find(uint64_t handle, CUfunction& out) {
  const Function* found = function(handle);
  if (found != nullptr) out = found->real;
  return found != nullptr;
}

inline bool Objects::find(uint64_t handle, CUkernel& out) {
  const Function* found = kernels.find(handle);
  if (found != nullptr) out = reinterpret_cast<CUkernel>(found->real);
  return found != nullptr;
}

inline bool Objects::find(uint64_t handle, CUmemoryPool& out) {
  const CUmemoryPool* found = pools.find(handle);
  if (found != nullptr) out = *found;
  return found != nullptr;
}

}  // namespace vgpu::worker
