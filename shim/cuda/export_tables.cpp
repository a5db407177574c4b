// cuGetExportTable: the driver's private tables, as far as NVIDIA's own libraries above it need them. What each slot
// does was found out by running those libraries on tables of our own (docs/design). Slots that nobody was seen to call
// answer "not supported" and say so under VGPU_LOG=debug.
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "shim/client/context.hpp"
#include "shim/client/context_storage.hpp"
#include "shim/client/default_stream.hpp"
#include "shim/client/diagnostics.hpp"
#include "shim/client/functions.hpp"
#include "shim/client/nvml_link.hpp"
#include "shim/cuda/calls.gen.hpp"
#include "shim/cuda/integrity.hpp"

namespace vgpu::shim {
namespace {

using Slot = const void*;

enum TableName {
  kCudart,
  kCallbackHooks,
  kToolsTls,
  kContextChecks,
  kIntegrity,
  kToolsContext,
  kToolsModule,
  kUnnamed
};
constexpr const char* kNames[] = {"CUDART_INTERFACE", "TOOLS_RUNTIME_CALLBACK_HOOKS",
                                  "TOOLS_TLS",        "CONTEXT_CHECKS",
                                  "INTEGRITY_CHECK",  "ToolsContext",
                                  "ToolsModule",      "1734dc26"};

CUresult unknown_slot(unsigned table, unsigned slot) {
  if (debug_enabled()) say("slot %u of the private table %s was called and is not supported", slot, kNames[table]);
  return CUDA_ERROR_NOT_SUPPORTED;
}

template <unsigned Table, size_t Number>
CUresult stub() {
  static Once once;
  return once.first() ? unknown_slot(Table, Number) : CUDA_ERROR_NOT_SUPPORTED;
}

/// A table whose slot 0 is its size in bytes and whose other slots are stubs until they are set.
template <unsigned Table, size_t Slots>
std::array<Slot, Slots> stubs() {
  std::array<Slot, Slots> table = []<size_t... Number>(std::index_sequence<Number...>) {
    return std::array<Slot, Slots>{reinterpret_cast<Slot>(&stub<Table, Number>)...};
  }
  (std::make_index_sequence<Slots>());
  table[0] = reinterpret_cast<Slot>(static_cast<uintptr_t>(Slots * sizeof(Slot)));
  return table;
}

template <typename Function>
Slot slot(Function* function) {
  return reinterpret_cast<Slot>(function);
}

CUcontext current_handle() {
  const Context* context = current_context();
  return context != nullptr ? handle_of(*context) : nullptr;
}

// CUDART_INTERFACE

// Run-time libraries before 12.0 load a program's code by these. The public call that takes wrappers takes bare ones,
// too.

CUresult load_wrapper(CUmodule* module, const void* wrapper) { return calls::cuModuleLoadFatBinary(module, wrapper); }

CUresult load_wrapper_with(CUmodule* module, const void* wrapper, void* first, void* second, unsigned third) {
  if (first != nullptr || second != nullptr || third != 0) return CUDA_ERROR_NOT_SUPPORTED;
  return load_wrapper(module, wrapper);
}

CUresult load_fatbin_with(const void* fatbin, CUmodule* module, void* first, void* second, unsigned third) {
  return load_wrapper_with(module, fatbin, first, second, third);
}

/// Only the handle: libcudart asks for every device at start, and must not create contexts by that.
CUresult primary_handle(CUcontext* context, CUdevice device) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  CUdevice known = 0;
  const CUresult result = calls::cuDeviceGet(&known, device);
  if (result != CUDA_SUCCESS) return result;
  *context = primary_context(device);
  return CUDA_SUCCESS;
}

void unload_hook(size_t) {}
CUresult preload_compilers() { return CUDA_SUCCESS; }

// TOOLS_RUNTIME_CALLBACK_HOOKS: for each function of the runtime, whether a profiler wants to hear of it. None does.

void first_hooks(void** words, size_t* count) {
  static std::array<uint32_t, 1024> none{};
  *words = none.data();
  *count = none.size();
}

void second_hooks(void** words, size_t* count) {
  static std::array<uint32_t, 14> none{};
  *words = none.data();
  *count = none.size();
}

CUresult nothing() { return CUDA_SUCCESS; }

// TOOLS_TLS and ToolsContext: cuBLAS asks per GEMM which context and stream it is on.

CUresult thread_context(void** context) {
  if (context == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *context = current_handle();
  return CUDA_SUCCESS;
}

CUresult context_number(void* context, uint64_t* number) {
  if (number == nullptr) return CUDA_ERROR_INVALID_VALUE;
  unsigned long long id = 0;
  const CUresult result = calls::cuCtxGetId(static_cast<CUcontext>(context), &id);
  *number = id;
  return result;
}

/// A stream's internal object: its handle serves, with the default streams resolved.
CUresult stream_object(void*, CUstream stream, void** object) {
  if (object == nullptr) return CUDA_ERROR_INVALID_VALUE;
  uint64_t resolved = 0;
  const CUresult result = resolve_stream(stream, resolved);
  if (result != CUDA_SUCCESS) return CUDA_ERROR_INVALID_HANDLE;
  *object = reinterpret_cast<void*>(resolved);
  return CUDA_SUCCESS;
}

/// Must differ between streams: cuBLAS takes equal numbers as leave to use its workspace again without a check.
CUresult stream_number(void*, void* object, uint64_t* number) {
  if (number == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *number = reinterpret_cast<uint64_t>(object);
  return CUDA_SUCCESS;
}

// CONTEXT_CHECKS

CUresult check_context(CUcontext, uint32_t* flag, void**) {
  if (flag != nullptr) *flag = 0;
  return CUDA_SUCCESS;
}

uint32_t no_checks() { return 0; }

// ToolsModule

/// What it returns means nothing to the visit. The driver's third argument is not known: null here.
using FunctionVisitor = void (*)(void* user, CUfunction function, void* unknown);

/// In the order of cuModuleEnumerateFunctions; none where that is refused.
std::vector<CUfunction> functions_of(CUmodule module) {
  unsigned count = 0;
  if (calls::cuModuleGetFunctionCount(&count, module) != CUDA_SUCCESS || count == 0) return {};
  std::vector<CUfunction> found(count);
  if (calls::cuModuleEnumerateFunctions(found.data(), count, module) != CUDA_SUCCESS) return {};
  return found;
}

/// Calls `visit`, if there is one, for every function of a module, and answers how many there are: a number, no
/// CUresult (docs/design/012). `context` may be null, and the thread need not have a current one.
size_t visit_functions(CUcontext context, CUmodule module, FunctionVisitor visit, void* user) {
  const bool lent = current_context() == nullptr && calls::cuCtxPushCurrent_v2(context) == CUDA_SUCCESS;
  const std::vector<CUfunction> found = functions_of(module);
  if (lent) calls::cuCtxPopCurrent_v2(nullptr);
  for (const CUfunction function : found)
    if (FunctionInfo* info = functions::find(function)) info->counts_as_loaded = true;
  if (visit != nullptr)
    for (const CUfunction function : found) visit(user, function, nullptr);
  return found.size();
}

/// All tables, made at first use; they live until the process ends, as libraries keep the pointers.
struct Tables {
  std::array<Slot, 13> cudart = stubs<kCudart, 13>();
  std::array<Slot, 7> callback_hooks = stubs<kCallbackHooks, 7>();
  std::array<Slot, 4> tools_tls = stubs<kToolsTls, 4>();
  // No size word: three functions, ended by a null.
  std::array<Slot, 4> context_storage = {slot(&context_storage::put), slot(&context_storage::del),
                                         slot(&context_storage::get), nullptr};
  std::array<Slot, 4> context_checks = stubs<kContextChecks, 4>();
  std::array<Slot, 3> integrity = stubs<kIntegrity, 3>();
  std::array<Slot, 95> tools_context = stubs<kToolsContext, 95>();
  std::array<Slot, 64> tools_module = stubs<kToolsModule, 64>();
  std::array<Slot, 16> unnamed = stubs<kUnnamed, 16>();

  Tables() {
    cudart[1] = slot(&load_wrapper);
    cudart[2] = slot(&primary_handle);
    cudart[6] = slot(&load_wrapper_with);
    cudart[7] = slot(&unload_hook);
    cudart[8] = slot(&load_fatbin_with);
    cudart[12] = slot(&preload_compilers);
    for (Slot& hook : callback_hooks) hook = &hook == callback_hooks.data() ? hook : slot(&nothing);
    callback_hooks[2] = slot(&first_hooks);
    callback_hooks[6] = slot(&second_hooks);
    tools_tls[2] = slot(&thread_context);
    context_checks[2] = slot(&check_context);
    context_checks[3] = slot(&no_checks);
    integrity[1] = slot(&integrity_check);
    tools_context[4] = slot(&context_number);
    tools_context[39] = slot(&stream_number);
    tools_context[51] = slot(&stream_object);
    tools_module[7] = slot(&visit_functions);
  }
};

Tables& tables() {
  static Tables& made = *new Tables;
  return made;
}

struct Known {
  uint8_t id[16];
  const Slot* (*table)();
};

template <auto Member>
const Slot* table_data() {
  return (tables().*Member).data();
}

constexpr Known kKnown[] = {
    {{0x6b, 0xd5, 0xfb, 0x6c, 0x5b, 0xf4, 0xe7, 0x4a, 0x89, 0x87, 0xd9, 0x39, 0x12, 0xfd, 0x9d, 0xf9},
     &table_data<&Tables::cudart>},
    {{0xa0, 0x94, 0x79, 0x8c, 0x2e, 0x74, 0x2e, 0x74, 0x93, 0xf2, 0x08, 0x00, 0x20, 0x0c, 0x0a, 0x66},
     &table_data<&Tables::callback_hooks>},
    {{0x42, 0xd8, 0x5a, 0x81, 0x23, 0xf6, 0xcb, 0x47, 0x82, 0x98, 0xf6, 0xe7, 0x8a, 0x3a, 0xec, 0xdc},
     &table_data<&Tables::tools_tls>},
    {{0xc6, 0x93, 0x33, 0x6e, 0x11, 0x21, 0xdf, 0x11, 0xa8, 0xc3, 0x68, 0xf3, 0x55, 0xd8, 0x95, 0x93},
     &table_data<&Tables::context_storage>},
    {{0x26, 0x3e, 0x88, 0x60, 0x7c, 0xd2, 0x61, 0x43, 0x92, 0xf6, 0xbb, 0xd5, 0x00, 0x6d, 0xfa, 0x7e},
     &table_data<&Tables::context_checks>},
    {{0xd4, 0x08, 0x20, 0x55, 0xbd, 0xe6, 0x70, 0x4b, 0x8d, 0x34, 0xba, 0x12, 0x3c, 0x66, 0xe1, 0xf2},
     &table_data<&Tables::integrity>},
    {{0x21, 0x31, 0x8c, 0x60, 0x97, 0x14, 0x32, 0x48, 0x8c, 0xa6, 0x41, 0xff, 0x73, 0x24, 0xc8, 0xf2},
     &table_data<&Tables::tools_context>},
    {{0x6e, 0x16, 0x3f, 0xbe, 0xb9, 0x58, 0x44, 0x4d, 0x83, 0x5c, 0xe1, 0x82, 0xaf, 0xf1, 0x99, 0x1e},
     &table_data<&Tables::tools_module>},
    {{0x17, 0x34, 0xdc, 0x26, 0x80, 0x0d, 0x47, 0x45, 0x87, 0x26, 0xc0, 0xf1, 0xe7, 0xdd, 0x8b, 0xca},
     &table_data<&Tables::unnamed>},
};

}  // namespace

IntegrityTables integrity_tables() { return {tables().cudart.data(), tables().integrity.data()}; }

namespace calls {

CUresult cuGetExportTable(const void** ppExportTable, const CUuuid* pExportTableId) {
  if (ppExportTable == nullptr || pExportTableId == nullptr) return CUDA_ERROR_INVALID_VALUE;
  *ppExportTable = nullptr;
  if (std::memcmp(nvml::kBridgeId, pExportTableId->bytes, sizeof nvml::kBridgeId) == 0) {
    *ppExportTable = &nvml_bridge();
    return CUDA_SUCCESS;
  }
  for (const Known& known : kKnown) {
    if (std::memcmp(known.id, pExportTableId->bytes, sizeof known.id) != 0) continue;
    *ppExportTable = known.table();
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_INVALID_VALUE;
}

}  // namespace calls
}  // namespace vgpu::shim
