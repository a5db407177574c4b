// What the parts of the fake driver share.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/abi/window_layout.h"
#include "tests/fuzz/records/fake_gpu.hpp"
#include "tests/fuzz/records/live_handles.hpp"

namespace vgpu::fuzz {

using namespace vgpu::cuda;

struct State {
  Behaviour behaviour;
  uintptr_t window = 0;
  size_t window_size = 0;
  unsigned calls = 0;
  unsigned unfinished = 0;  ///< queries that still find the GPU at work
  LiveHandles handles;
  uintptr_t current = 0;  ///< context
  uintptr_t primary = 0;
  uint64_t next_memory = 0;
  std::map<uint64_t, uint64_t> memory;      ///< what was allocated and not freed
  std::map<uint64_t, uint64_t> registered;  ///< of the window
  std::vector<CUstream> capturing;
  std::map<uintptr_t, CUDA_ARRAY3D_DESCRIPTOR> shapes;  ///< of arrays and mipmapped arrays
  std::set<std::pair<uintptr_t, uint64_t>> textures;    ///< (context, number)
  std::set<std::pair<uintptr_t, uint64_t>> surfaces;
};
State& gpu_state();

[[noreturn]] void found(const char* what);

/// The result of the next call.
CUresult outcome();
/// The same of one that gives the GPU work.
CUresult submitted();
/// Memory that a call names must be the client's.
void check_device(uint64_t address, uint64_t size);
/// Looks at (and writes, `writes`) both ends of host memory; inside the window it must be registered, or lie in a slot.
void touch_host(const void* host, uint64_t size, bool writes);
/// What lives in a context goes; the context itself stays.
void end_context(uintptr_t context);
/// How many there are of something.
size_t some_count();

template <typename T>
uintptr_t number(T* handle) {
  return reinterpret_cast<uintptr_t>(handle);
}

/// A handle of something that lives in the current context, unless it belongs to none.
template <typename Handle>
Handle make_handle(uintptr_t parent = 0) {
  constexpr bool kOfNoContext = std::is_same_v<Handle, CUcontext> || std::is_same_v<Handle, CUlibrary> ||
                                std::is_same_v<Handle, CUkernel> || std::is_same_v<Handle, CUgraph> ||
                                std::is_same_v<Handle, CUgraphExec> || std::is_same_v<Handle, CUmemoryPool>;
  return gpu_state().handles.make<Handle>(kOfNoContext ? 0 : gpu_state().current, parent);
}

/// `function` behind a look at its handles.
template <auto function>
struct Checked;
template <typename... Args, CUresult (*function)(Args...)>
struct Checked<function> {
  static CUresult call(Args... args) {
    (check_live(gpu_state().handles, args), ...);
    return function(args...);
  }
};
template <auto function>
inline constexpr auto checked = &Checked<function>::call;

void set_memory(DriverTable& table);
void set_work(DriverTable& table);
void set_captures(DriverTable& table);
void set_code(DriverTable& table);
void set_contexts(DriverTable& table);
void set_arrays(DriverTable& table);
void set_devices(DriverTable& table);

}  // namespace vgpu::fuzz
