// What the guest knows about each CUfunction and CUkernel, so that a launch asks nobody.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "common/wire/handle.hpp"
#include "common/wire/reader.hpp"

namespace vgpu::shim {

using namespace vgpu::cuda;

struct Parameter {
  uint32_t offset = 0;
  uint32_t size = 0;
};

/// Attribute values of a function or kernel on one device. Lock-free; a value of an older epoch (a context ended since)
/// counts as unknown.
class AttributeCache {
 public:
  std::optional<int> get(CUfunction_attribute attribute) const;
  void put(CUfunction_attribute attribute, int value);
  void forget();

 private:
  std::array<std::atomic<uint64_t>, CU_FUNC_ATTRIBUTE_MAX> values_{};  // epoch << 32 | value; epochs start at 1
};

/// One function of a module, or one kernel of a library. Name, owner and layout never change while the handle lives;
/// the layout of a kernel becomes known when it is first needed, for asking loads the code.
struct FunctionInfo {
  static constexpr CUdevice kCachedDevices = 8;
  static constexpr unsigned kCachedContexts = 4;

  uint64_t handle = 0;
  uint64_t owner = 0;   // module or library
  uint64_t kernel = 0;  // of a function: the kernel that it was made from, if any
  CUdevice device = 0;  // of a function: where its context lies
  std::string name;
  /// Read only after layout() of namespace functions has succeeded; constant from then on.
  std::vector<Parameter> parameters;
  size_t parameter_bytes = 0;  // size of the packed parameter block
  std::atomic<bool> layout_known{false};
  /// For the program its code is loaded: it was asked for by name, or visited. For the worker's driver it may not be
  /// yet where an enumeration made it known first.
  std::atomic<bool> counts_as_loaded{false};

  bool is_kernel() const { return wire::kind_of(handle) == wire::Kind::kernel; }
  /// Its code is loaded on demand, which may wait for running work.
  bool loads_lazily() const { return is_kernel() || kernel != 0; }

  /// Null for devices that are not cached.
  AttributeCache* attributes(CUdevice on) {
    return on >= 0 && on < kCachedDevices ? &per_device[static_cast<size_t>(on)] : nullptr;
  }

  /// Whether it was launched before in the context (by handle).
  bool is_loaded_in(uint64_t context) const;
  void set_loaded_in(uint64_t context);

  std::array<AttributeCache, kCachedDevices> per_device;
  std::array<std::atomic<uint64_t>, kCachedContexts> loaded{};  // epoch << 32 | index of the context
  std::atomic<unsigned> next_loaded{0};
};

namespace functions {

/// What is known of a handle, function or kernel; null if it is none of ours. No lock. It stays readable after the
/// handle's end.
FunctionInfo* find(uint64_t handle);
inline FunctionInfo* find(CUfunction function) { return find(reinterpret_cast<uint64_t>(function)); }
inline FunctionInfo* find(CUkernel kernel) { return find(reinterpret_cast<uint64_t>(kernel)); }

/// A reply's parameter count that leaves the layout open.
inline constexpr uint32_t kLayoutUnknown = UINT32_MAX;
/// Makes the parameter layout known: a round trip the first time, for a kernel.
CUresult layout(FunctionInfo& info);

/// What a new handle stands for. `layout` is the reply's parameter list (offset and size, from index 0) and `count` the
/// total; what is missing is fetched from the worker. Null if that fails.
struct Description {
  uint64_t handle = 0;
  uint64_t owner = 0;
  uint64_t kernel = 0;
  CUdevice device = 0;
  std::string name;
};
CUresult add(Description description, uint32_t count, wire::Bytes layout, FunctionInfo*& info);
/// The same layout as another's: a function made from a kernel.
FunctionInfo* add_like(Description description, const FunctionInfo& model);
/// The handle means nothing any more. Its number stays taken: whoever made it gives it back once the worker let go of
/// it.
void forget(uint64_t handle);
/// Values of a function that stems from a kernel and of the kernel itself depend on each other: forget those of all
/// relatives.
void forget_relatives(const FunctionInfo& changed);
/// Contexts ended: what was loaded or set in them is unknown from now on.
void context_ended();

}  // namespace functions
}  // namespace vgpu::shim
