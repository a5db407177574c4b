// Modules and libraries.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "worker/sim/api/enqueue.hpp"
#include "worker/sim/api/functions.hpp"
#include "worker/sim/image/image.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::FunctionObject;
using vgpu::sim::device::KernelObject;
using vgpu::sim::device::Library;
using vgpu::sim::device::LoadedModule;
namespace ptx = vgpu::sim::ptx;

VGPU_SIM_EXPORT(cuModuleLoad);
VGPU_SIM_EXPORT(cuModuleLoadData);
VGPU_SIM_EXPORT(cuModuleLoadDataEx);
VGPU_SIM_EXPORT(cuModuleLoadFatBinary);
VGPU_SIM_EXPORT(cuModuleUnload);
VGPU_SIM_EXPORT(cuModuleGetFunction);
VGPU_SIM_EXPORT(cuModuleGetFunctionCount);
VGPU_SIM_EXPORT(cuModuleEnumerateFunctions);
VGPU_SIM_EXPORT(cuModuleGetGlobal_v2);
VGPU_SIM_EXPORT(cuLibraryLoadData);
VGPU_SIM_EXPORT(cuLibraryLoadFromFile);
VGPU_SIM_EXPORT(cuLibraryUnload);
VGPU_SIM_EXPORT(cuLibraryGetKernel);
VGPU_SIM_EXPORT(cuLibraryGetKernelCount);
VGPU_SIM_EXPORT(cuLibraryEnumerateKernels);
VGPU_SIM_EXPORT(cuLibraryGetModule);
VGPU_SIM_EXPORT(cuLibraryGetGlobal);
VGPU_SIM_EXPORT(cuKernelGetFunction);
VGPU_SIM_EXPORT(cuKernelGetLibrary);

namespace {

using ModulePtr = std::shared_ptr<LoadedModule>;
using LibraryPtr = std::shared_ptr<Library>;

template <typename Body>
CUresult with_module(CUmodule handle, Body body) {
  return with_context([&](const ContextPtr& context) {
    const ModulePtr module = Simulator::get().modules.find(handle);
    return module == nullptr ? CUDA_ERROR_INVALID_HANDLE : static_cast<CUresult>(body(context, module));
  });
}

/// Libraries need no context for most of what is asked of them.
template <typename Body>
CUresult with_library(CUlibrary handle, Body body) {
  return without_context([&] {
    const LibraryPtr library = Simulator::get().libraries.find(handle);
    return library == nullptr ? CUDA_ERROR_INVALID_HANDLE : static_cast<CUresult>(body(library));
  });
}

/// For what is asked of the code in it.
template <typename Body>
CUresult with_code_of(CUlibrary handle, Body body) {
  return with_library(handle, [&](const LibraryPtr& library) {
    return library->fault != CUDA_SUCCESS ? library->fault : static_cast<CUresult>(body(library));
  });
}

CUresult read_file(const char* name, std::string& out) {
  std::ifstream file(name, std::ios::binary);
  if (!file) return CUDA_ERROR_FILE_NOT_FOUND;
  out.assign(std::istreambuf_iterator<char>(file), {});
  return CUDA_SUCCESS;
}

/// Writes a compiler's log into the buffer that the options name, and its length where they name a place for that.
void write_log(unsigned count, const CUjit_option* options, void** values, CUjit_option buffer,
               const std::string& log) {
  const CUjit_option* const end = options + count;
  const CUjit_option* const size = std::find(options, end, static_cast<CUjit_option>(buffer + 1));
  if (size == end) return;
  void*& room = values[size - options];
  const CUjit_option* const place = std::find(options, end, buffer);
  auto* const text = place == end ? nullptr : static_cast<char*>(values[place - options]);
  const auto bytes = reinterpret_cast<std::uintptr_t>(room);
  const std::size_t written = text == nullptr || bytes == 0 ? 0 : std::min<std::size_t>(log.size(), bytes - 1);
  if (text != nullptr && bytes != 0) {
    std::memcpy(text, log.data(), written);
    text[written] = '\0';
  }
  room = reinterpret_cast<void*>(written);
}

/// The logs: what is wrong with the image, and nothing else.
void answer_options(unsigned count, const CUjit_option* options, void** values, const std::string& error) {
  if (options == nullptr || values == nullptr) return;
  write_log(count, options, values, CU_JIT_INFO_LOG_BUFFER, {});
  write_log(count, options, values, CU_JIT_ERROR_LOG_BUFFER, error);
}

bool are_known(unsigned count, const CUjit_option* options) {
  return std::all_of(options, options + count, [](CUjit_option option) { return option < CU_JIT_NUM_OPTIONS; });
}

CUresult load(CUmodule* out, const void* image, unsigned count, const CUjit_option* options, void** values) {
  return with_context([&](const ContextPtr& context) {
    if (out == nullptr || image == nullptr || (count != 0 && (options == nullptr || values == nullptr)))
      return CUDA_ERROR_INVALID_VALUE;
    if (!are_known(count, options)) return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<const ptx::Module> parsed;
    std::string error;
    const CUresult parsing = vgpu::sim::device::parse_image(image, parsed, &error);
    answer_options(count, options, values, error);
    if (parsing != CUDA_SUCCESS) return parsing;
    if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
    auto module = std::make_shared<LoadedModule>(vgpu::sim::device::next_handle(), context);
    if (const CUresult result = module->load(parsed); result != CUDA_SUCCESS) return result;
    Simulator::get().modules.add(module->handle, module);
    *out = as_handle<CUmodule>(module->handle);
    return CUDA_SUCCESS;
  });
}

// Libraries are loaded lazily: one that cannot be is made all the same, and says so when it is used.
CUresult load_library(CUlibrary* out, const void* code) {
  return without_context([&] {
    if (out == nullptr || code == nullptr) return CUDA_ERROR_INVALID_VALUE;
    auto parsed = std::make_shared<const ptx::Module>();
    const CUresult fault = vgpu::sim::device::parse_image(code, parsed);
    auto library = std::make_shared<Library>(vgpu::sim::device::next_handle(), parsed, fault);
    library->open(library);
    Simulator::get().libraries.add(library->handle, library);
    *out = as_handle<CUlibrary>(library->handle);
    return CUDA_SUCCESS;
  });
}

CUresult get_global(const ModulePtr& module, const char* name, CUdeviceptr* address, std::size_t* size) {
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  std::uint64_t at = 0, length = 0;
  if (!module->find_variable(name, at, length)) return CUDA_ERROR_NOT_FOUND;
  if (address != nullptr) *address = at;
  if (size != nullptr) *size = length;
  return CUDA_SUCCESS;
}

bool is_kernel(const ptx::Function& function) { return function.is_entry && function.defined; }

unsigned count_kernels(const ptx::Module& module) {
  return static_cast<unsigned>(std::count_if(module.functions.begin(), module.functions.end(), is_kernel));
}

}  // namespace

namespace vgpu::sim::api {

CUresult load_here(const std::shared_ptr<Library>& library, const ContextPtr& context,
                   std::shared_ptr<LoadedModule>& out) {
  out = library->loaded(*context);
  if (out != nullptr) return CUDA_SUCCESS;
  if (const CUresult result = wait_exclusively(context); result != CUDA_SUCCESS) return result;
  return library->load(context, out);
}

CUresult find_function(const ContextPtr& context, const void* handle, FunctionPtr& out) {
  out = Simulator::get().functions.find(handle);
  if (out != nullptr) return CUDA_SUCCESS;
  const std::shared_ptr<KernelObject> kernel = Simulator::get().kernels.find(handle);
  const LibraryPtr library = kernel == nullptr ? nullptr : kernel->library.lock();
  if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  ModulePtr module;
  if (const CUresult result = load_here(library, context, module); result != CUDA_SUCCESS) return result;
  out = module->function(module, kernel->index, kernel->settings);
  out->loaded = true;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::sim::api

// Only libraries follow the wrapper around a fat binary; a module wants the image itself.
CUresult cuModuleLoadDataEx(CUmodule* out, const void* image, unsigned count, CUjit_option* options, void** values) {
  return with_context([&](const ContextPtr&) {
    const bool wrapped = image != nullptr && vgpu::sim::image::is_wrapper(image);
    return wrapped ? CUDA_ERROR_INVALID_IMAGE : load(out, image, count, options, values);
  });
}
CUresult cuModuleLoadData(CUmodule* out, const void* image) {
  return cuModuleLoadDataEx(out, image, 0, nullptr, nullptr);
}
CUresult cuModuleLoadFatBinary(CUmodule* out, const void* image) { return load(out, image, 0, nullptr, nullptr); }
CUresult cuModuleLoad(CUmodule* out, const char* name) {
  return with_context([&](const ContextPtr&) {
    if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::string image;
    if (const CUresult result = read_file(name, image); result != CUDA_SUCCESS) return result;
    return load(out, image.c_str(), 0, nullptr, nullptr);
  });
}

CUresult cuModuleUnload(CUmodule handle) {
  return with_module(handle, [&](const ContextPtr& context, const ModulePtr& module) {
    if (module->of_library) return CUDA_ERROR_NOT_PERMITTED;
    if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
    module->context()->wait_idle();
    Simulator& sim = Simulator::get();
    sim.modules.take(handle);
    sim.functions.remove_if([&](const FunctionObject& function) { return function.module.lock() == module; });
    return context->error();
  });
}

CUresult cuModuleGetFunction(CUfunction* out, CUmodule handle, const char* name) {
  return with_module(handle, [&](const ContextPtr&, const ModulePtr& module) {
    if (out == nullptr || name == nullptr || *name == '\0') return CUDA_ERROR_INVALID_VALUE;
    const ptx::Module& code = *module->program()->module;
    const auto found = code.function_index.find(name);
    if (found == code.function_index.end() || !is_kernel(code.functions[found->second])) return CUDA_ERROR_NOT_FOUND;
    const FunctionPtr function = module->function(module, found->second);
    function->loaded = true;
    *out = as_handle<CUfunction>(function->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetFunctionCount(unsigned* count, CUmodule handle) {
  return with_module(handle, [&](const ContextPtr&, const ModulePtr& module) {
    if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = count_kernels(*module->program()->module);
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleEnumerateFunctions(CUfunction* out, unsigned most, CUmodule handle) {
  return with_module(handle, [&](const ContextPtr&, const ModulePtr& module) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    const auto& functions = module->program()->module->functions;
    unsigned given = 0;
    for (std::uint32_t i = 0; i < functions.size() && given < most; ++i) {
      if (is_kernel(functions[i])) out[given++] = as_handle<CUfunction>(module->function(module, i)->handle);
    }
    return CUDA_SUCCESS;
  });
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, std::size_t* size, CUmodule handle, const char* name) {
  return with_module(
      handle, [&](const ContextPtr&, const ModulePtr& module) { return get_global(module, name, address, size); });
}

CUresult cuLibraryLoadData(CUlibrary* out, const void* code, CUjit_option* options, void** values, unsigned count,
                           CUlibraryOption*, void**, unsigned) {
  answer_options(count, options, values, {});
  return load_library(out, code);
}
CUresult cuLibraryLoadFromFile(CUlibrary* out, const char* name, CUjit_option*, void**, unsigned, CUlibraryOption*,
                               void**, unsigned) {
  return without_context([&] {
    if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::string image;
    if (const CUresult result = read_file(name, image); result != CUDA_SUCCESS) return result;
    return load_library(out, image.c_str());
  });
}

CUresult cuLibraryUnload(CUlibrary handle) {
  return with_library(handle, [&](const LibraryPtr& library) {
    ContextPtr context;
    if (library->is_used() && current_context(context) == CUDA_SUCCESS) {
      if (const CUresult result = check_unsafe(*context); result != CUDA_SUCCESS) return result;
      wait_exclusively(context);
    }
    Simulator::get().libraries.take(handle);
    library->unload();
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryGetKernel(CUkernel* out, CUlibrary handle, const char* name) {
  return with_code_of(handle, [&](const LibraryPtr& library) {
    if (out == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
    for (const auto& kernel : library->kernels()) {
      if (kernel->function().name != name) continue;
      *out = as_handle<CUkernel>(kernel->handle);
      return CUDA_SUCCESS;
    }
    return CUDA_ERROR_NOT_FOUND;
  });
}

CUresult cuLibraryGetKernelCount(unsigned* count, CUlibrary handle) {
  return with_code_of(handle, [&](const LibraryPtr& library) {
    if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *count = static_cast<unsigned>(library->kernels().size());
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryEnumerateKernels(CUkernel* out, unsigned most, CUlibrary handle) {
  return with_code_of(handle, [&](const LibraryPtr& library) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    for (std::size_t i = 0; i < library->kernels().size() && i < most; ++i)
      out[i] = as_handle<CUkernel>(library->kernels()[i]->handle);
    return CUDA_SUCCESS;
  });
}

CUresult cuLibraryGetModule(CUmodule* out, CUlibrary handle) {
  return with_context([&](const ContextPtr& context) {
    return with_library(handle, [&](const LibraryPtr& library) {
      if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
      ModulePtr module;
      const CUresult result = load_here(library, context, module);
      if (result == CUDA_SUCCESS) *out = as_handle<CUmodule>(module->handle);
      return result;
    });
  });
}

CUresult cuLibraryGetGlobal(CUdeviceptr* address, std::size_t* size, CUlibrary handle, const char* name) {
  return with_context([&](const ContextPtr& context) {
    return with_library(handle, [&](const LibraryPtr& library) {
      ModulePtr module;
      if (const CUresult result = load_here(library, context, module); result != CUDA_SUCCESS) return result;
      return get_global(module, name, address, size);
    });
  });
}

CUresult cuKernelGetFunction(CUfunction* out, CUkernel handle) {
  return with_context([&](const ContextPtr& context) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (Simulator::get().kernels.find(handle) == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    FunctionPtr function;
    const CUresult result = find_function(context, handle, function);
    if (result == CUDA_SUCCESS) *out = as_handle<CUfunction>(function->handle);
    return result;
  });
}

CUresult cuKernelGetLibrary(CUlibrary* out, CUkernel handle) {
  return without_context([&] {
    const auto kernel = Simulator::get().kernels.find(handle);
    const LibraryPtr library = kernel == nullptr ? nullptr : kernel->library.lock();
    if (library == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *out = as_handle<CUlibrary>(library->handle);
    return CUDA_SUCCESS;
  });
}
