// Modules, libraries, functions and kernels.
#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "worker/handlers/code_input.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

/// What the driver takes for no image of any kind: for libraries that it shall refuse at their first use, as it does.
void make_unknown(std::vector<uint8_t>& image) {
  image.assign(64, 0);
  image[0] = 0x80;
}

using ParameterInfo = CUresult (*)(const DriverTable& driver, CUfunction function, size_t index, size_t* offset,
                                   size_t* size);

CUresult function_parameter(const DriverTable& driver, CUfunction function, size_t index, size_t* offset,
                            size_t* size) {
  return driver.cuFuncGetParamInfo == nullptr ? CUDA_ERROR_NOT_SUPPORTED
                                              : driver.cuFuncGetParamInfo(function, index, offset, size);
}

// Asking a kernel for its parameters loads its code, which waits for running work (measured), so it is asked only when
// the guest must know: the replies that introduce kernels leave the layout open.
constexpr uint32_t kLayoutUnknown = UINT32_MAX;

CUresult kernel_parameter(const DriverTable& driver, CUfunction function, size_t index, size_t* offset, size_t* size) {
  return driver.cuKernelGetParamInfo == nullptr
             ? CUDA_ERROR_NOT_SUPPORTED
             : driver.cuKernelGetParamInfo(reinterpret_cast<CUkernel>(function), index, offset, size);
}

/// Layout of a function's parameters: all of them are counted, `most` of them from `first` on are listed.
struct Layout {
  uint32_t count = 0;
  std::vector<uint32_t> pairs;

  wire::Bytes view() const { return {reinterpret_cast<const uint8_t*>(pairs.data()), pairs.size() * sizeof(uint32_t)}; }
};

Layout layout_of(const DriverTable& driver, CUfunction function, ParameterInfo info, uint32_t first, uint32_t most) {
  constexpr size_t kMostParameters = 4096;  // a block of 32,764 bytes holds no more of them in practice
  Layout layout;
  size_t offset = 0, size = 0;
  for (size_t i = 0; i < kMostParameters && info(driver, function, i, &offset, &size) == CUDA_SUCCESS; ++i) {
    ++layout.count;
    if (i < first || layout.pairs.size() >= most * 2) continue;
    layout.pairs.push_back(static_cast<uint32_t>(offset));
    layout.pairs.push_back(static_cast<uint32_t>(size));
  }
  return layout;
}

constexpr uint32_t kLayoutPage = 100;
constexpr uint32_t kShortLayoutPage = 50;

/// The n-th handle of a driver's enumeration.
template <typename Handle, typename Owner>
CUresult enumerate(CUresult (*list)(Handle*, unsigned, Owner), CUresult (*count_of)(unsigned*, Owner), Owner owner,
                   uint32_t index, Handle& found) {
  if (list == nullptr || count_of == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  unsigned count = 0;
  const CUresult counted = count_of(&count, owner);
  if (counted != CUDA_SUCCESS) return counted;
  if (index >= count) return CUDA_ERROR_INVALID_VALUE;
  std::vector<Handle> all(count);
  const CUresult listed = list(all.data(), count, owner);
  if (listed == CUDA_SUCCESS) found = all[index];
  return listed;
}

void drop_functions(Session& session, uint64_t owner) {
  session.objects().functions.drop_if([&](uint64_t, const Function& function) { return function.owner == owner; });
  session.objects().kernels.drop_if([&](uint64_t, const Function& kernel) { return kernel.owner == owner; });
  session.allocations().remove_if(
      [&](uint64_t, const Allocations::Range& range) { return range.kind == Memory::global && range.owner == owner; });
}

void add_global(Session& session, uint64_t address, uint64_t size, uint64_t owner) {
  if (session.allocations().at(address) == nullptr && !session.allocations().is_full())
    session.allocations().add(address, {size, Memory::global, session.context_handle(), owner});
}

}  // namespace

void module_load(Session& session, const api::ops::ModuleLoad& op, Call& call) {
  std::vector<uint8_t> image;
  LoadOptions options;
  if (!copy_image(session, op.offset, op.size, image))
    return call.finish(session.violation("an image outside the heap"));
  if (!options.read(op.options)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (const CUresult refused =
          check_new(session, session.objects().modules, op.id.value, "a module handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  if (!is_sound(image)) return call.finish(CUDA_ERROR_INVALID_IMAGE);
  session.note_code(image);
  options.add_logs(op.info_log_size, op.error_log_size);
  CUmodule module = nullptr;
  const CUresult result =
      session.driver().cuModuleLoadDataEx(&module, image.data(), options.count(), options.names(), options.values());
  if (result == CUDA_SUCCESS) session.objects().modules.bind(op.id.value, {module, 0, session.context_handle()});
  api::ops::ModuleLoadReply reply;
  give_logs(session, op.log_offset, op.info_log_size, op.error_log_size, options, reply);
  reply.encode(call.reply());
  call.finish(result);
}

void module_unload(Session& session, const api::ops::ModuleUnload& op, Call& call) {
  const Module* module = session.objects().modules.find(op.id.value);
  if (module == nullptr || module->owner != 0) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuModuleUnload(module->real);
  drop_functions(session, op.id.value);
  session.objects().modules.drop(op.id.value);
  call.finish(result);
}

void module_get_function(Session& session, const api::ops::ModuleGetFunction& op, Call& call) {
  const Module* module = session.objects().modules.find(op.id.value);
  if (module == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult refused =
          check_new(session, session.objects().functions, op.result.value, "a function handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUfunction function = nullptr;
  const CUresult result = session.driver().cuModuleGetFunction(&function, module->real, std::string(op.name).c_str());
  if (result != CUDA_SUCCESS) return call.finish(result);
  const Layout layout = layout_of(session.driver(), function, &function_parameter, 0, kLayoutPage);
  session.objects().functions.bind(op.result.value, {function, op.id.value, session.context_handle()});
  api::ops::ModuleGetFunctionReply{layout.count, layout.view()}.encode(call.reply());
  call.finish(result);
}

void module_get_global(Session& session, const api::ops::ModuleGetGlobal& op, Call& call) {
  const Module* module = session.objects().modules.find(op.id.value);
  if (module == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUdeviceptr address = 0;
  size_t size = 0;
  const CUresult result =
      session.driver().cuModuleGetGlobal_v2(&address, &size, module->real, std::string(op.name).c_str());
  if (result == CUDA_SUCCESS) add_global(session, address, size, op.id.value);
  api::ops::ModuleGetGlobalReply{address, size}.encode(call.reply());
  call.finish(result);
}

void module_function_count(Session& session, const api::ops::ModuleFunctionCount& op, Call& call) {
  const Module* module = session.objects().modules.find(op.id.value);
  const auto count_of = session.driver().cuModuleGetFunctionCount;
  if (module == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  unsigned count = 0;
  const CUresult result = count_of == nullptr ? CUDA_ERROR_NOT_SUPPORTED : count_of(&count, module->real);
  api::ops::ModuleFunctionCountReply{count}.encode(call.reply());
  call.finish(result);
}

void module_function_at(Session& session, const api::ops::ModuleFunctionAt& op, Call& call) {
  const DriverTable& driver = session.driver();
  const Module* module = session.objects().modules.find(op.id.value);
  if (module == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult refused =
          check_new(session, session.objects().functions, op.result.value, "a function handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUfunction function = nullptr;
  const CUresult result = enumerate<CUfunction, CUmodule>(
      driver.cuModuleEnumerateFunctions, driver.cuModuleGetFunctionCount, module->real, op.index, function);
  if (result != CUDA_SUCCESS) return call.finish(result);
  const char* name = nullptr;
  if (driver.cuFuncGetName == nullptr || driver.cuFuncGetName(&name, function) != CUDA_SUCCESS || name == nullptr)
    name = "";
  const Layout layout = layout_of(driver, function, &function_parameter, 0, kShortLayoutPage);
  session.objects().functions.bind(op.result.value, {function, op.id.value, session.context_handle()});
  api::ops::ModuleFunctionAtReply{layout.count, layout.view(), std::string_view(name).substr(0, 400)}.encode(
      call.reply());
  call.finish(result);
}

void library_load(Session& session, const api::ops::LibraryLoad& op, Call& call) {
  const auto load = session.driver().cuLibraryLoadData;
  std::vector<uint8_t> image;
  LoadOptions options;
  if (!copy_image(session, op.offset, op.size, image))
    return call.finish(session.violation("an image outside the heap"));
  if (!options.read(op.options)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (const CUresult refused =
          check_new(session, session.objects().libraries, op.id.value, "a library handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  if (load == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!is_sound(image)) make_unknown(image);
  session.note_code(image);
  options.add_logs(op.info_log_size, op.error_log_size);
  // The image lies in this call's memory only, so the driver must take a copy: BINARY_IS_PRESERVED is not passed on.
  CUlibrary library = nullptr;
  const CUresult result =
      load(&library, image.data(), options.names(), options.values(), options.count(), nullptr, nullptr, 0);
  if (result == CUDA_SUCCESS) session.objects().libraries.bind(op.id.value, library);
  api::ops::LibraryLoadReply reply;
  give_logs(session, op.log_offset, op.info_log_size, op.error_log_size, options, reply);
  reply.encode(call.reply());
  call.finish(result);
}

void library_unload(Session& session, const api::ops::LibraryUnload& op, Call& call) {
  const CUlibrary* library = session.objects().libraries.find(op.id.value);
  if (library == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const CUresult result = session.driver().cuLibraryUnload(*library);
  drop_functions(session, op.id.value);
  session.objects().modules.drop_if([&](uint64_t handle, const Module& module) {
    if (module.owner != op.id.value) return false;
    drop_functions(session, handle);
    return true;
  });
  session.objects().libraries.drop(op.id.value);
  call.finish(result);
}

void library_get_kernel(Session& session, const api::ops::LibraryGetKernel& op, Call& call) {
  const CUlibrary* library = session.objects().libraries.find(op.id.value);
  if (library == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult refused =
          check_new(session, session.objects().kernels, op.result.value, "a kernel handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUkernel kernel = nullptr;
  const CUresult result = session.driver().cuLibraryGetKernel(&kernel, *library, std::string(op.name).c_str());
  if (result != CUDA_SUCCESS) return call.finish(result);
  const auto function = reinterpret_cast<CUfunction>(kernel);
  session.objects().kernels.bind(op.result.value, {function, op.id.value, 0});
  api::ops::LibraryGetKernelReply{kLayoutUnknown, {}}.encode(call.reply());
  call.finish(result);
}

void library_get_module(Session& session, const api::ops::LibraryGetModule& op, Call& call) {
  const CUlibrary* library = session.objects().libraries.find(op.id.value);
  const auto get = session.driver().cuLibraryGetModule;
  if (library == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult refused =
          check_new(session, session.objects().modules, op.result.value, "a module handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUmodule module = nullptr;
  const CUresult result = get == nullptr ? CUDA_ERROR_NOT_SUPPORTED : get(&module, *library);
  if (result == CUDA_SUCCESS)
    session.objects().modules.bind(op.result.value, {module, op.id.value, session.context_handle()});
  call.finish(result);
}

void library_get_global(Session& session, const api::ops::LibraryGetGlobal& op, Call& call) {
  const CUlibrary* library = session.objects().libraries.find(op.id.value);
  const auto get = session.driver().cuLibraryGetGlobal;
  if (library == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  CUdeviceptr address = 0;
  size_t size = 0;
  const CUresult result =
      get == nullptr ? CUDA_ERROR_NOT_SUPPORTED : get(&address, &size, *library, std::string(op.name).c_str());
  if (result == CUDA_SUCCESS) add_global(session, address, size, op.id.value);
  api::ops::LibraryGetGlobalReply{address, size}.encode(call.reply());
  call.finish(result);
}

void library_kernel_count(Session& session, const api::ops::LibraryKernelCount& op, Call& call) {
  const CUlibrary* library = session.objects().libraries.find(op.id.value);
  const auto count_of = session.driver().cuLibraryGetKernelCount;
  if (library == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  unsigned count = 0;
  const CUresult result = count_of == nullptr ? CUDA_ERROR_NOT_SUPPORTED : count_of(&count, *library);
  api::ops::LibraryKernelCountReply{count}.encode(call.reply());
  call.finish(result);
}

void library_kernel_at(Session& session, const api::ops::LibraryKernelAt& op, Call& call) {
  const DriverTable& driver = session.driver();
  const CUlibrary* library = session.objects().libraries.find(op.id.value);
  if (library == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult refused =
          check_new(session, session.objects().kernels, op.result.value, "a kernel handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUkernel kernel = nullptr;
  const CUresult result = enumerate<CUkernel, CUlibrary>(driver.cuLibraryEnumerateKernels,
                                                         driver.cuLibraryGetKernelCount, *library, op.index, kernel);
  if (result != CUDA_SUCCESS) return call.finish(result);
  const char* name = nullptr;
  if (driver.cuKernelGetName == nullptr || driver.cuKernelGetName(&name, kernel) != CUDA_SUCCESS || name == nullptr)
    name = "";
  const auto function = reinterpret_cast<CUfunction>(kernel);
  const Layout layout = layout_of(driver, function, &kernel_parameter, 0, kShortLayoutPage);
  session.objects().kernels.bind(op.result.value, {function, op.id.value, 0});
  api::ops::LibraryKernelAtReply{layout.count, layout.view(), std::string_view(name).substr(0, 400)}.encode(
      call.reply());
  call.finish(result);
}

void kernel_get_function(Session& session, const api::ops::KernelGetFunction& op, Call& call) {
  const Function* kernel = session.objects().kernels.find(op.id.value);
  const auto get = session.driver().cuKernelGetFunction;
  if (kernel == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (const CUresult refused =
          check_new(session, session.objects().functions, op.result.value, "a function handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUfunction function = nullptr;
  const CUresult result =
      get == nullptr ? CUDA_ERROR_NOT_SUPPORTED : get(&function, reinterpret_cast<CUkernel>(kernel->real));
  if (result == CUDA_SUCCESS)
    session.objects().functions.bind(op.result.value, {function, kernel->owner, session.context_handle()});
  call.finish(result);
}

void kernel_get_attribute(Session& session, const api::ops::KernelGetAttribute& op, Call& call) {
  const Function* kernel = session.objects().kernels.find(op.id.value);
  const auto get = session.driver().cuKernelGetAttribute;
  if (kernel == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  int value = 0;
  const CUresult result =
      get == nullptr ? CUDA_ERROR_NOT_SUPPORTED
                     : get(&value, op.attribute, reinterpret_cast<CUkernel>(kernel->real), static_cast<int>(op.device));
  api::ops::KernelGetAttributeReply{value}.encode(call.reply());
  call.finish(result);
}

void kernel_set_attribute(Session& session, const api::ops::KernelSetAttribute& op, Call& call) {
  const Function* kernel = session.objects().kernels.find(op.id.value);
  const auto set = session.driver().cuKernelSetAttribute;
  if (kernel == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  call.finish(set == nullptr
                  ? CUDA_ERROR_NOT_SUPPORTED
                  : set(op.attribute, op.value, reinterpret_cast<CUkernel>(kernel->real), static_cast<int>(op.device)));
}

void function_get_attribute(Session& session, const api::ops::FunctionGetAttribute& op, Call& call) {
  const Function* function = session.objects().function(op.id.value);
  if (function == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  int value = 0;
  const CUresult result = session.driver().cuFuncGetAttribute(&value, op.attribute, function->real);
  api::ops::FunctionGetAttributeReply{value}.encode(call.reply());
  call.finish(result);
}

void function_set_attribute(Session& session, const api::ops::FunctionSetAttribute& op, Call& call) {
  const Function* function = session.objects().function(op.id.value);
  if (function == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  call.finish(session.driver().cuFuncSetAttribute(function->real, op.attribute, op.value));
}

void function_parameters(Session& session, const api::ops::FunctionParameters& op, Call& call) {
  const Function* function = session.objects().function(op.id.value);
  if (function == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  const bool kernel = wire::kind_of(op.id.value) == wire::Kind::kernel;
  const Layout layout = layout_of(session.driver(), function->real, kernel ? &kernel_parameter : &function_parameter,
                                  op.first, kLayoutPage);
  api::ops::FunctionParametersReply{layout.count, layout.view()}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

}  // namespace vgpu::worker::handlers
