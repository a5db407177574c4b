// cuLibrary* and the way from kernels to functions.
#include "shim/client/capture_state.hpp"
#include "shim/client/code_loading.hpp"
#include "shim/client/code_objects.hpp"
#include "shim/client/context.hpp"
#include "shim/client/functions.hpp"
#include "shim/client/named_lookup.hpp"
#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

using api::ops::LibraryLoad;
using api::ops::LibraryLoadReply;

struct LibraryArguments {
  CUjit_option* options;
  void** values;
  unsigned count;
  CUlibraryOption* library_options;
  void** library_values;
  unsigned library_count;
};

template <typename TakeImage>
CUresult load(CUlibrary* library, const LibraryArguments& arguments, TakeImage take) {
  if (library == nullptr) return CUDA_ERROR_INVALID_VALUE;
  JitOptions options;
  std::vector<uint8_t> library_options;
  CUresult result = options.read(arguments.count, arguments.options, arguments.values);
  if (result == CUDA_SUCCESS)
    result = encode_library_options(arguments.library_count, arguments.library_options, arguments.library_values,
                                    library_options);
  if (result != CUDA_SUCCESS) return result;
  Request request(LibraryLoad::kOp, LibraryLoad::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  TravellingImage image;
  result = take(image);
  if (result != CUDA_SUCCESS) return result;
  NewHandle id(request, wire::Kind::library);
  if (id.value() == 0) return id.why();
  result = send_image<LibraryLoad, LibraryLoadReply>(request, {.id = {id.value()}, .library_options = library_options},
                                                     image, options);
  if (result != CUDA_SUCCESS) return result;
  code_objects::add(id.value(), nullptr);
  *library = reinterpret_cast<CUlibrary>(id.keep());
  return CUDA_SUCCESS;
}

bool is_library(CUlibrary library) {
  return wire::kind_of(reinterpret_cast<uint64_t>(library)) == wire::Kind::library &&
         code_objects::exists(reinterpret_cast<uint64_t>(library));
}

CUresult fetch_kernel_at(uint64_t library, uint32_t index, uint64_t& handle) {
  Request request(api::Op::library_kernel_at, false);
  NewHandle id(request, wire::Kind::kernel);
  if (id.value() == 0) return id.why();
  api::ops::LibraryKernelAtReply reply;
  CUresult result =
      call(request, api::ops::LibraryKernelAt{.id = {library}, .index = index, .result = {id.value()}}, reply);
  if (result != CUDA_SUCCESS) return result;
  FunctionInfo* info = nullptr;
  const std::string name(reply.name);
  result = functions::add({.handle = id.value(), .owner = library, .name = name}, reply.parameter_count,
                          reply.parameters, info);
  if (result != CUDA_SUCCESS) return result;
  handle = code_objects::remember_at(library, index, name, id.keep());
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuLibraryLoadData(CUlibrary* library, const void* code, CUjit_option* jitOptions, void** jitOptionsValues,
                           unsigned numJitOptions, CUlibraryOption* libraryOptions, void** libraryOptionValues,
                           unsigned numLibraryOptions) {
  return load(library,
              {jitOptions, jitOptionsValues, numJitOptions, libraryOptions, libraryOptionValues, numLibraryOptions},
              [&](TravellingImage& image) { return image.take_lazily(code); });
}

CUresult cuLibraryLoadFromFile(CUlibrary* library, const char* fileName, CUjit_option* jitOptions,
                               void** jitOptionsValues, unsigned numJitOptions, CUlibraryOption* libraryOptions,
                               void** libraryOptionValues, unsigned numLibraryOptions) {
  return load(library,
              {jitOptions, jitOptionsValues, numJitOptions, libraryOptions, libraryOptionValues, numLibraryOptions},
              [&](TravellingImage& image) { return image.take_file(fileName); });
}

CUresult cuLibraryUnload(CUlibrary library) {
  if (!is_library(library)) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult refused = refuse_if_capturing();
  if (refused != CUDA_SUCCESS) return refused;
  const auto handle = reinterpret_cast<uint64_t>(library);
  Request request(api::Op::library_unload, false);
  request.body().put(handle);
  const CUresult result = request.call();
  if (request.took_effect()) code_objects::remove(handle);
  return result;
}

CUresult cuLibraryGetKernel(CUkernel* pKernel, CUlibrary library, const char* name) {
  if (pKernel == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!is_library(library)) return CUDA_ERROR_INVALID_HANDLE;
  const auto owner = reinterpret_cast<uint64_t>(library);
  if (const uint64_t known = code_objects::function_named(owner, name); known != 0) {
    *pKernel = reinterpret_cast<CUkernel>(known);
    return CUDA_SUCCESS;
  }
  Request request(api::Op::library_get_kernel, false);
  NewHandle id(request, wire::Kind::kernel);
  if (id.value() == 0) return id.why();
  CUresult result = ask_by_name(request, owner, id.value(), name);
  if (result != CUDA_SUCCESS) return result;
  api::ops::LibraryGetKernelReply reply;
  if (!reply.decode(request.reply())) return CUDA_ERROR_UNKNOWN;
  FunctionInfo* info = nullptr;
  result = functions::add({.handle = id.value(), .owner = owner, .name = name}, reply.parameter_count, reply.parameters,
                          info);
  if (result != CUDA_SUCCESS) return result;
  *pKernel = reinterpret_cast<CUkernel>(code_objects::remember_named(owner, name, id.keep()));
  return CUDA_SUCCESS;
}

CUresult cuLibraryGetModule(CUmodule* pMod, CUlibrary library) {
  if (pMod == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!is_library(library)) return CUDA_ERROR_INVALID_HANDLE;
  Request request(api::Op::library_get_module, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const auto owner = reinterpret_cast<uint64_t>(library);
  const CUcontext context = handle_of(*current_context());
  uint64_t module = code_objects::in_context(owner, 0, context);
  if (module == 0) {
    NewHandle id(request, wire::Kind::module);
    if (id.value() == 0) return id.why();
    api::ops::LibraryGetModule{.id = {owner}, .result = {id.value()}}.encode(request.body());
    const CUresult result = request.call();
    if (result != CUDA_SUCCESS) return result;
    module = id.keep();
    code_objects::add(module, context, owner);
    module = code_objects::remember_in_context(owner, 0, context, module);
  }
  *pMod = reinterpret_cast<CUmodule>(module);
  return CUDA_SUCCESS;
}

CUresult cuLibraryGetGlobal(CUdeviceptr* dptr, size_t* bytes, CUlibrary library, const char* name) {
  if (name == nullptr || (dptr == nullptr && bytes == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  if (!is_library(library)) return CUDA_ERROR_INVALID_HANDLE;
  Request request(api::Op::library_get_global, true);
  const CUresult result = ask_by_name(request, reinterpret_cast<uint64_t>(library), 0, name);
  if (result != CUDA_SUCCESS) return result;
  api::ops::LibraryGetGlobalReply reply;
  if (!reply.decode(request.reply())) return CUDA_ERROR_UNKNOWN;
  if (dptr != nullptr) *dptr = reply.address;
  if (bytes != nullptr) *bytes = reply.size;
  return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernelCount(unsigned* count, CUlibrary lib) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!is_library(lib)) return CUDA_ERROR_INVALID_HANDLE;
  const auto library = reinterpret_cast<uint64_t>(lib);
  auto known = code_objects::count_of(library);
  if (!known) {
    Request request(api::Op::library_kernel_count, false);
    api::ops::LibraryKernelCountReply reply;
    const CUresult result = call(request, api::ops::LibraryKernelCount{.id = {library}}, reply);
    if (result != CUDA_SUCCESS) return result;
    known = reply.count;
    code_objects::remember_count(library, reply.count);
  }
  *count = *known;
  return CUDA_SUCCESS;
}

CUresult cuLibraryEnumerateKernels(CUkernel* kernels, unsigned numKernels, CUlibrary lib) {
  if (kernels == nullptr || numKernels == 0) return CUDA_ERROR_INVALID_VALUE;
  unsigned count = 0;
  const CUresult counted = cuLibraryGetKernelCount(&count, lib);
  if (counted != CUDA_SUCCESS) return counted;
  const auto library = reinterpret_cast<uint64_t>(lib);
  for (uint32_t index = 0; index < count && index < numKernels; ++index) {
    uint64_t handle = code_objects::function_at(library, index);
    if (handle == 0) {
      const CUresult result = fetch_kernel_at(library, index, handle);
      if (result != CUDA_SUCCESS) return result;
    }
    kernels[index] = reinterpret_cast<CUkernel>(handle);
  }
  return CUDA_SUCCESS;
}

CUresult cuKernelGetLibrary(CUlibrary* pLib, CUkernel kernel) {
  if (pLib == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const FunctionInfo* info = functions::find(kernel);
  if (info == nullptr || !info->is_kernel()) return CUDA_ERROR_INVALID_HANDLE;
  *pLib = reinterpret_cast<CUlibrary>(info->owner);
  return CUDA_SUCCESS;
}

CUresult cuKernelGetFunction(CUfunction* pFunc, CUkernel kernel) {
  if (pFunc == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const FunctionInfo* info = functions::find(kernel);
  if (info == nullptr || !info->is_kernel()) return CUDA_ERROR_INVALID_HANDLE;
  Request request(api::Op::kernel_get_function, true);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  const Context& current = *current_context();
  uint64_t function = code_objects::in_context(info->owner, info->handle, handle_of(current));
  if (function == 0) {
    NewHandle id(request, wire::Kind::function);
    if (id.value() == 0) return id.why();
    api::ops::KernelGetFunction{.id = {info->handle}, .result = {id.value()}}.encode(request.body());
    const CUresult result = request.call();
    if (result != CUDA_SUCCESS) return result;
    functions::add_like({.handle = id.value(),
                         .owner = info->owner,
                         .kernel = info->handle,
                         .device = device_of(current),
                         .name = info->name},
                        *info);
    function = code_objects::remember_in_context(info->owner, info->handle, handle_of(current), id.keep());
  }
  *pFunc = reinterpret_cast<CUfunction>(function);
  return CUDA_SUCCESS;
}

/// No library of a guest has managed variables: the attribute MANAGED_MEMORY is 0.
CUresult cuLibraryGetManaged(CUdeviceptr* dptr, size_t* bytes, CUlibrary library, const char* name) {
  if ((dptr == nullptr && bytes == nullptr) || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  return is_library(library) ? CUDA_ERROR_NOT_FOUND : CUDA_ERROR_INVALID_HANDLE;
}

/// Nor functions that are the same for host and device: the attribute UNIFIED_FUNCTION_POINTERS is 0. The driver calls
/// what it does not find there an invalid value.
CUresult cuLibraryGetUnifiedFunction(void** fptr, CUlibrary library, const char* symbol) {
  if (fptr == nullptr || symbol == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (const CUresult ready = initialized(); ready != CUDA_SUCCESS) return ready;
  return is_library(library) ? CUDA_ERROR_INVALID_VALUE : CUDA_ERROR_INVALID_HANDLE;
}

}  // namespace vgpu::shim::calls
