// cuModule*: images travel through the heap; functions and their layouts are known in the guest after the first
// question.
#include <cstdlib>
#include <cstring>

#include "shim/client/capture_state.hpp"
#include "shim/client/code_loading.hpp"
#include "shim/client/code_objects.hpp"
#include "shim/client/context.hpp"
#include "shim/client/device_facts.hpp"
#include "shim/client/functions.hpp"
#include "shim/client/named_lookup.hpp"
#include "shim/client/textures.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

using api::ops::ModuleLoad;
using api::ops::ModuleLoadReply;

template <typename TakeImage>
CUresult load(CUmodule* module, const JitOptions& options, TakeImage take) {
  if (module == nullptr) return CUDA_ERROR_INVALID_VALUE;
  Request request(ModuleLoad::kOp, ModuleLoad::kNeedsContext);
  if (request.refusal() != CUDA_SUCCESS) return request.refusal();
  TravellingImage image;
  CUresult result = take(image);
  if (result != CUDA_SUCCESS) return result;
  NewHandle id(request, wire::Kind::module);
  if (id.value() == 0) return id.why();
  result = send_image<ModuleLoad, ModuleLoadReply>(request, {.id = {id.value()}}, image, options);
  if (result != CUDA_SUCCESS) return result;
  code_objects::add(id.value(), handle_of(*current_context()));
  *module = reinterpret_cast<CUmodule>(id.keep());
  return CUDA_SUCCESS;
}

bool is_module(CUmodule module) {
  return code_objects::exists(reinterpret_cast<uint64_t>(module)) &&
         wire::kind_of(reinterpret_cast<uint64_t>(module)) == wire::Kind::module;
}

functions::Description describe(uint64_t handle, uint64_t owner, std::string_view name) {
  const Context* context = current_context();
  return {.handle = handle,
          .owner = owner,
          .device = context != nullptr ? device_of(*context) : 0,
          .name = std::string(name)};
}

CUresult fetch_function_at(uint64_t module, uint32_t index, uint64_t& handle) {
  Request request(api::Op::module_function_at, true);
  NewHandle id(request, wire::Kind::function);
  if (id.value() == 0) return id.why();
  api::ops::ModuleFunctionAtReply reply;
  CUresult result =
      call(request, api::ops::ModuleFunctionAt{.id = {module}, .index = index, .result = {id.value()}}, reply);
  if (result != CUDA_SUCCESS) return result;
  FunctionInfo* info = nullptr;
  result = functions::add(describe(id.value(), module, reply.name), reply.parameter_count, reply.parameters, info);
  if (result != CUDA_SUCCESS) return result;
  handle = code_objects::remember_at(module, index, std::string(reply.name), id.keep());
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned numOptions, CUjit_option* options,
                            void** optionValues) {
  JitOptions jit;
  const CUresult read = jit.read(numOptions, options, optionValues);
  if (read != CUDA_SUCCESS) return read;
  return load(module, jit, [&](TravellingImage& travelling) { return travelling.take_bare(image); });
}

CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

CUresult cuModuleLoadFatBinary(CUmodule* module, const void* fatCubin) {
  return load(module, JitOptions{}, [&](TravellingImage& travelling) { return travelling.take(fatCubin); });
}

CUresult cuModuleLoad(CUmodule* module, const char* fname) {
  return load(module, JitOptions{}, [&](TravellingImage& travelling) { return travelling.take_file(fname); });
}

CUresult cuModuleUnload(CUmodule hmod) {
  if (!is_module(hmod)) return CUDA_ERROR_INVALID_HANDLE;
  const CUresult refused = refuse_if_capturing();
  if (refused != CUDA_SUCCESS) return refused;
  const auto handle = reinterpret_cast<uint64_t>(hmod);
  Request request(api::Op::module_unload, true);
  request.body().put(handle);
  const CUresult result = request.call();
  if (request.took_effect()) {
    textures::forget_module(handle);
    code_objects::remove(handle);
  }
  return result;
}

CUresult cuModuleGetFunction(CUfunction* hfunc, CUmodule hmod, const char* name) {
  if (hfunc == nullptr || name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!is_module(hmod)) return CUDA_ERROR_INVALID_HANDLE;
  const auto module = reinterpret_cast<uint64_t>(hmod);
  if (const uint64_t known = code_objects::function_named(module, name); known != 0) {
    if (FunctionInfo* info = functions::find(known)) info->counts_as_loaded = true;
    *hfunc = reinterpret_cast<CUfunction>(known);
    return CUDA_SUCCESS;
  }
  Request request(api::Op::module_get_function, true);
  NewHandle id(request, wire::Kind::function);
  if (id.value() == 0) return id.why();
  CUresult result = ask_by_name(request, module, id.value(), name);
  if (result != CUDA_SUCCESS) return result;
  api::ops::ModuleGetFunctionReply reply;
  if (!reply.decode(request.reply())) return CUDA_ERROR_UNKNOWN;
  FunctionInfo* info = nullptr;
  result = functions::add(describe(id.value(), module, name), reply.parameter_count, reply.parameters, info);
  if (result != CUDA_SUCCESS) return result;
  *hfunc = reinterpret_cast<CUfunction>(code_objects::remember_named(module, name, id.keep()));
  return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* dptr, size_t* bytes, CUmodule hmod, const char* name) {
  if (name == nullptr || (dptr == nullptr && bytes == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  if (!is_module(hmod)) return CUDA_ERROR_INVALID_HANDLE;
  Request request(api::Op::module_get_global, true);
  const CUresult result = ask_by_name(request, reinterpret_cast<uint64_t>(hmod), 0, name);
  if (result != CUDA_SUCCESS) return result;
  api::ops::ModuleGetGlobalReply reply;
  if (!reply.decode(request.reply())) return CUDA_ERROR_UNKNOWN;
  if (dptr != nullptr) *dptr = reply.address;
  if (bytes != nullptr) *bytes = reply.size;
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunctionCount(unsigned* count, CUmodule mod) {
  if (count == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (!is_module(mod)) return CUDA_ERROR_INVALID_HANDLE;
  const auto module = reinterpret_cast<uint64_t>(mod);
  auto known = code_objects::count_of(module);
  if (!known) {
    Request request(api::Op::module_function_count, true);
    api::ops::ModuleFunctionCountReply reply;
    const CUresult result = call(request, api::ops::ModuleFunctionCount{.id = {module}}, reply);
    if (result != CUDA_SUCCESS) return result;
    known = reply.count;
    code_objects::remember_count(module, reply.count);
  }
  *count = *known;
  return CUDA_SUCCESS;
}

CUresult cuModuleEnumerateFunctions(CUfunction* functions, unsigned numFunctions, CUmodule mod) {
  if (functions == nullptr || numFunctions == 0) return CUDA_ERROR_INVALID_VALUE;
  unsigned count = 0;
  const CUresult counted = cuModuleGetFunctionCount(&count, mod);
  if (counted != CUDA_SUCCESS) return counted;
  const auto module = reinterpret_cast<uint64_t>(mod);
  for (uint32_t index = 0; index < count && index < numFunctions; ++index) {
    uint64_t handle = code_objects::function_at(module, index);
    if (handle == 0) {
      const CUresult result = fetch_function_at(module, index, handle);
      if (result != CUDA_SUCCESS) return result;
    }
    functions[index] = reinterpret_cast<CUfunction>(handle);
  }
  return CUDA_SUCCESS;
}

// As the worker's driver is set up: lazily unless the program asked otherwise (the variable travels with Hello).
CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode* mode) {
  if (mode == nullptr) return CUDA_ERROR_INVALID_VALUE;
  int count = 0;
  const CUresult ready = device_count(count);
  if (ready != CUDA_SUCCESS) return ready;
  const char* wanted = std::getenv("CUDA_MODULE_LOADING");
  *mode = wanted != nullptr && std::strcmp(wanted, "EAGER") == 0 ? CU_MODULE_EAGER_LOADING : CU_MODULE_LAZY_LOADING;
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim::calls
