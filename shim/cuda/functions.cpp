// cuFunc* and cuKernel*: names, layouts and attributes. Both kinds of handle are accepted wherever CUDA says
// CUfunction, as libcudart relies on that.
#include "shim/client/functions.hpp"

#include "shim/client/context.hpp"
#include "shim/client/request.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

CUresult name_of(const char** name, const FunctionInfo* info) {
  if (name == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (info == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  *name = info->name.c_str();
  return CUDA_SUCCESS;
}

CUresult parameter_of(FunctionInfo* info, size_t index, size_t* offset, size_t* size) {
  if (offset == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (info == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult known = functions::layout(*info); known != CUDA_SUCCESS) return known;
  if (index >= info->parameters.size()) return CUDA_ERROR_INVALID_VALUE;
  *offset = info->parameters[index].offset;
  if (size != nullptr) *size = info->parameters[index].size;
  return CUDA_SUCCESS;
}

CUresult fetch_kernel_attribute(const FunctionInfo& info, CUfunction_attribute attribute, CUdevice device, int& value) {
  Request request(api::Op::kernel_get_attribute, false);
  api::ops::KernelGetAttributeReply reply;
  const CUresult result =
      call(request,
           api::ops::KernelGetAttribute{
               .id = {info.handle}, .attribute = attribute, .device = static_cast<uint32_t>(device)},
           reply);
  if (result == CUDA_SUCCESS) value = reply.value;
  return result;
}

CUresult ask_function_attribute(const FunctionInfo& info, CUfunction_attribute attribute, int& value) {
  Request request(api::Op::function_get_attribute, true);
  api::ops::FunctionGetAttributeReply reply;
  const CUresult result =
      call(request, api::ops::FunctionGetAttribute{.id = {info.handle}, .attribute = attribute}, reply);
  if (result == CUDA_SUCCESS) value = reply.value;
  return result;
}

/// A few attributes need the code: what was only enumerated the driver refuses to tell them of. To load waits for the
/// context, so it is left until somebody asks.
CUresult fetch_function_attribute(const FunctionInfo& info, CUfunction_attribute attribute, int& value) {
  const CUresult result = ask_function_attribute(info, attribute, value);
  if (result != CUDA_ERROR_FUNCTION_NOT_LOADED || !info.counts_as_loaded) return result;
  const CUresult loaded = cuFuncLoad(reinterpret_cast<CUfunction>(info.handle));
  return loaded != CUDA_SUCCESS ? loaded : ask_function_attribute(info, attribute, value);
}

/// From the cache, or else from the worker.
template <typename Fetch>
CUresult cached(FunctionInfo& info, CUfunction_attribute attribute, CUdevice device, int* pi, Fetch fetch) {
  AttributeCache* cache = info.attributes(device);
  if (cache != nullptr) {
    if (const auto known = cache->get(attribute)) {
      *pi = *known;
      return CUDA_SUCCESS;
    }
  }
  const CUresult result = fetch(*pi);
  if (result == CUDA_SUCCESS && cache != nullptr) cache->put(attribute, *pi);
  return result;
}

/// Skips what would change nothing: libraries set the same values again before every launch.
template <typename Send>
CUresult set(FunctionInfo& info, CUfunction_attribute attribute, CUdevice device, int value, Send send) {
  AttributeCache* cache = info.attributes(device);
  if (cache != nullptr && cache->get(attribute) == value) return CUDA_SUCCESS;
  const CUresult result = send();
  if (result != CUDA_SUCCESS) return result;
  if (cache != nullptr) cache->put(attribute, value);
  functions::forget_relatives(info);
  return CUDA_SUCCESS;
}

/// The device that a function means: its context's, or for a kernel in a function's place, the current one.
CUresult device_meant(const FunctionInfo& info, CUdevice& device) {
  if (!info.is_kernel()) {
    device = info.device;
    return CUDA_SUCCESS;
  }
  const Context* current = current_context();
  if (current == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  device = device_of(*current);
  return CUDA_SUCCESS;
}

}  // namespace

CUresult attribute_of(FunctionInfo& info, CUfunction_attribute attribute, int& value) {
  CUdevice device = 0;
  const CUresult result = device_meant(info, device);
  if (result != CUDA_SUCCESS) return result;
  return cached(info, attribute, device, &value, [&](int& fetched) {
    return info.is_kernel() ? fetch_kernel_attribute(info, attribute, device, fetched)
                            : fetch_function_attribute(info, attribute, fetched);
  });
}

CUresult cuFuncGetName(const char** name, CUfunction hfunc) { return name_of(name, functions::find(hfunc)); }
CUresult cuKernelGetName(const char** name, CUkernel hfunc) { return name_of(name, functions::find(hfunc)); }

CUresult cuFuncGetParamInfo(CUfunction func, size_t paramIndex, size_t* paramOffset, size_t* paramSize) {
  return parameter_of(functions::find(func), paramIndex, paramOffset, paramSize);
}

CUresult cuKernelGetParamInfo(CUkernel kernel, size_t paramIndex, size_t* paramOffset, size_t* paramSize) {
  return parameter_of(functions::find(kernel), paramIndex, paramOffset, paramSize);
}

CUresult cuFuncGetModule(CUmodule* hmod, CUfunction hfunc) {
  if (hmod == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const FunctionInfo* info = functions::find(hfunc);
  if (info == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (info->loads_lazily()) return cuLibraryGetModule(hmod, reinterpret_cast<CUlibrary>(info->owner));
  *hmod = reinterpret_cast<CUmodule>(info->owner);
  return CUDA_SUCCESS;
}

/// A kernel stands for a function in launches, not here.
CUresult cuFuncGetAttribute(int* pi, CUfunction_attribute attrib, CUfunction hfunc) {
  if (pi == nullptr || attrib >= CU_FUNC_ATTRIBUTE_MAX) return CUDA_ERROR_INVALID_VALUE;
  FunctionInfo* info = functions::find(hfunc);
  return info == nullptr || info->is_kernel() ? CUDA_ERROR_INVALID_HANDLE : attribute_of(*info, attrib, *pi);
}

CUresult cuKernelGetAttribute(int* pi, CUfunction_attribute attrib, CUkernel kernel, CUdevice dev) {
  if (pi == nullptr || attrib >= CU_FUNC_ATTRIBUTE_MAX) return CUDA_ERROR_INVALID_VALUE;
  FunctionInfo* info = functions::find(kernel);
  if (info == nullptr || !info->is_kernel()) return CUDA_ERROR_INVALID_HANDLE;
  return cached(*info, attrib, dev, pi, [&](int& value) { return fetch_kernel_attribute(*info, attrib, dev, value); });
}

CUresult cuFuncSetAttribute(CUfunction hfunc, CUfunction_attribute attrib, int value) {
  if (attrib >= CU_FUNC_ATTRIBUTE_MAX) return CUDA_ERROR_INVALID_VALUE;
  FunctionInfo* info = functions::find(hfunc);
  if (info == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  CUdevice device = 0;
  const CUresult result = device_meant(*info, device);
  if (result != CUDA_SUCCESS) return result;
  return set(*info, attrib, device, value, [&] {
    if (info->is_kernel()) {
      return call(api::ops::KernelSetAttribute{
          .id = {info->handle}, .attribute = attrib, .value = value, .device = static_cast<uint32_t>(device)});
    }
    return call(api::ops::FunctionSetAttribute{.id = {info->handle}, .attribute = attrib, .value = value});
  });
}

CUresult cuKernelSetAttribute(CUfunction_attribute attrib, int val, CUkernel kernel, CUdevice dev) {
  if (attrib >= CU_FUNC_ATTRIBUTE_MAX) return CUDA_ERROR_INVALID_VALUE;
  FunctionInfo* info = functions::find(kernel);
  if (info == nullptr || !info->is_kernel()) return CUDA_ERROR_INVALID_HANDLE;
  return set(*info, attrib, dev, val, [&] {
    return call(api::ops::KernelSetAttribute{
        .id = {info->handle}, .attribute = attrib, .value = val, .device = static_cast<uint32_t>(dev)});
  });
}

}  // namespace vgpu::shim::calls
