// Modules, libraries and their functions.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/api/cuda_types.hpp"
#include "worker/sim/exec/launch.hpp"
#include "worker/sim/memory/device_arena.hpp"

namespace vgpu::sim::device {

class Context;
class Library;
class LoadedModule;

/// What cuFuncSetAttribute and its like may change.
struct FunctionSettings {
  std::atomic<int> max_dynamic_shared{-1};  ///< -1: what is left of 48 KiB
  std::atomic<int> carveout{-1};
  std::atomic<int> non_portable_cluster{0};
  std::atomic<int> cluster_policy{0};
};

/// A function of a module in one context (CUfunction).
struct FunctionObject {
  std::uint64_t handle = 0;
  std::weak_ptr<LoadedModule> module;
  std::shared_ptr<const exec::Program> program;
  std::uint32_t index = 0;
  std::shared_ptr<FunctionSettings> settings;
  std::uint64_t context_id = 0;
  std::atomic<bool> loaded{false};  ///< asked for by name, launched or loaded; not if it was only enumerated

  const ptx::Function& function() const { return program->module->functions[index]; }
};

/// A kernel of a library, in whatever context (CUkernel).
struct KernelObject {
  std::uint64_t handle = 0;
  std::weak_ptr<Library> library;
  std::shared_ptr<const ptx::Module> module;
  std::uint32_t index = 0;
  std::shared_ptr<FunctionSettings> settings = std::make_shared<FunctionSettings>();

  const ptx::Function& function() const { return module->functions[index]; }
};

/// A module with its variables in device memory.
class LoadedModule {
 public:
  LoadedModule(std::uint64_t module_handle, std::shared_ptr<Context> context)
      : handle(module_handle), context_(std::move(context)) {}
  ~LoadedModule();

  /// Places the variables and binds the code. OUT_OF_MEMORY if there is no room, INVALID_PTX if something external is
  /// missing.
  cuda::CUresult load(const std::shared_ptr<const ptx::Module>& module);

  /// The function object of a kernel; made at the first call.
  std::shared_ptr<FunctionObject> function(const std::shared_ptr<LoadedModule>& self, std::uint32_t index,
                                           std::shared_ptr<FunctionSettings> settings = nullptr);
  /// Address and size of a variable; nothing if it is not visible by that name.
  bool find_variable(const std::string& name, std::uint64_t& address, std::uint64_t& size) const;

  const std::shared_ptr<Context>& context() const { return context_; }
  const std::shared_ptr<const exec::Program>& program() const { return program_; }
  const std::uint64_t handle;
  bool of_library = false;

 private:
  std::shared_ptr<Context> context_;
  std::shared_ptr<const exec::Program> program_;
  std::vector<memory::Allocation> allocations_;
  std::mutex mutex_;
  std::map<std::uint32_t, std::shared_ptr<FunctionObject>> functions_;
};

/// A library: code that is loaded into a context when it is first used there.
class Library {
 public:
  /// `why_not`: the error that its first use gives when the image cannot be loaded. The module is then empty.
  Library(std::uint64_t library_handle, std::shared_ptr<const ptx::Module> module, cuda::CUresult why_not)
      : handle(library_handle), fault(why_not), module_(std::move(module)) {}

  /// Makes the handles of the kernels; to be called once the library is owned by a shared_ptr.
  void open(const std::shared_ptr<Library>& self);
  /// The module of this library in `context`; null if it is not loaded there yet.
  std::shared_ptr<LoadedModule> loaded(const Context& context);
  /// Loads it there, if it is not yet.
  cuda::CUresult load(const std::shared_ptr<Context>& context, std::shared_ptr<LoadedModule>& out);
  bool is_used();
  void unload();
  /// Forgets what is loaded in a context that goes.
  void forget(std::uint64_t context_id);

  const std::shared_ptr<const ptx::Module>& module() const { return module_; }
  const std::vector<std::shared_ptr<KernelObject>>& kernels() const { return kernels_; }
  const std::uint64_t handle;
  const cuda::CUresult fault;

 private:
  std::shared_ptr<const ptx::Module> module_;
  std::vector<std::shared_ptr<KernelObject>> kernels_;
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<LoadedModule>> loaded_;  ///< by context id
};

/// Reads and parses an image. On failure logs one line, which comes back in `why`, too, and gives the CUDA error.
cuda::CUresult parse_image(const void* image, std::shared_ptr<const ptx::Module>& out, std::string* why = nullptr);

}  // namespace vgpu::sim::device
