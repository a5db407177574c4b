// The fake driver's modules, libraries and functions.
#include "tests/fuzz/records/fake_state.hpp"

#include <string>

namespace vgpu::fuzz {
namespace {

State& state = gpu_state();

struct Log {
  void** buffer = nullptr;
  void** size = nullptr;
};
void write_log(const Log& log) {
  if (log.buffer == nullptr || log.size == nullptr) return;
  std::memset(*log.buffer, 'x', reinterpret_cast<size_t>(*log.size));
}
CUresult load(const void* image, unsigned count, CUjit_option* options, void** values) {
  Log info, error;
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == CU_JIT_INFO_LOG_BUFFER) info.buffer = &values[i];
    if (options[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES) info.size = &values[i];
    if (options[i] == CU_JIT_ERROR_LOG_BUFFER) error.buffer = &values[i];
    if (options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) error.size = &values[i];
    if (options[i] == CU_JIT_WALL_TIME) found("an option that takes an address");
  }
  write_log(info);
  write_log(error);
  // A text ends, and it ends inside what was given.
  if (::strnlen(static_cast<const char*>(image), kDeviceStride) == kDeviceStride) found("an image without an end");
  return outcome();
}
CUresult load_module(CUmodule* module, const void* image, unsigned count, CUjit_option* options, void** values) {
  const CUresult result = load(image, count, options, values);
  if (result == CUDA_SUCCESS) *module = make_handle<CUmodule>();
  return result;
}
CUresult load_library(CUlibrary* library, const void* image, CUjit_option* options, void** values, unsigned count,
                      CUlibraryOption*, void**, unsigned) {
  const CUresult result = load(image, count, options, values);
  if (result == CUDA_SUCCESS) *library = make_handle<CUlibrary>();
  return result;
}
CUresult parameter_info(size_t index, size_t* offset, size_t* size) {
  constexpr size_t kCounts[] = {0, 3, 101, 4200};
  if (index >= kCounts[state.behaviour.counts % std::size(kCounts)]) return CUDA_ERROR_INVALID_VALUE;
  *offset = index * 8;
  *size = 8;
  return CUDA_SUCCESS;
}
CUresult function_parameter(CUfunction, size_t index, size_t* offset, size_t* size) {
  return parameter_info(index, offset, size);
}
CUresult kernel_parameter(CUkernel, size_t index, size_t* offset, size_t* size) {
  return parameter_info(index, offset, size);
}
template <typename Owner>
CUresult count_functions(unsigned* count, Owner) {
  *count = static_cast<unsigned>(some_count());
  return outcome();
}
template <typename Handle, typename Owner>
CUresult list_functions(Handle* to, unsigned count, Owner owner) {
  for (unsigned i = 0; i < count; ++i) to[i] = make_handle<Handle>(number(owner));
  return outcome();
}
template <typename Handle>
CUresult name_of(const char** name, Handle) {
  static const std::string longest(2000, 'n');
  *name = state.behaviour.counts % 3 == 0 ? "kernel" : state.behaviour.counts % 3 == 1 ? longest.c_str() : nullptr;
  return outcome();
}

template <typename Handle, typename Owner>
CUresult get_function(Handle* to, Owner owner, const char*) {
  const CUresult result = outcome();
  if (result == CUDA_SUCCESS) *to = make_handle<Handle>(number(owner));
  return result;
}
template <typename Handle, typename Owner>
CUresult get_of(Handle* to, Owner owner) {
  return get_function(to, owner, "");
}

}  // namespace

void set_code(DriverTable& table) {
  table.cuModuleLoadDataEx = checked<load_module>;
  table.cuLibraryLoadData = checked<load_library>;
  table.cuFuncGetParamInfo = checked<function_parameter>;
  table.cuKernelGetParamInfo = checked<kernel_parameter>;
  table.cuModuleGetFunctionCount = checked<count_functions<CUmodule>>;
  table.cuLibraryGetKernelCount = checked<count_functions<CUlibrary>>;
  table.cuModuleEnumerateFunctions = checked<list_functions<CUfunction, CUmodule>>;
  table.cuLibraryEnumerateKernels = checked<list_functions<CUkernel, CUlibrary>>;
  table.cuFuncGetName = checked<name_of<CUfunction>>;
  table.cuKernelGetName = checked<name_of<CUkernel>>;
  table.cuModuleGetFunction = checked<get_function<CUfunction, CUmodule>>;
  table.cuLibraryGetKernel = checked<get_function<CUkernel, CUlibrary>>;
  table.cuLibraryGetModule = checked<get_of<CUmodule, CUlibrary>>;
  table.cuKernelGetFunction = checked<get_of<CUfunction, CUkernel>>;
}

}  // namespace vgpu::fuzz
