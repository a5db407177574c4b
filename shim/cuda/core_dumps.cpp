// cuCoredump*: settings are kept here, and nothing acts on them. To dump is refused: the file would be written on the
// host, with what the driver there knows.
#include <unistd.h>

#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <variant>

#include "shim/client/context.hpp"
#include "shim/client/diagnostics.hpp"
#include "shim/client/request.hpp"
#include "shim/client/startup.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim::calls {
namespace {

using Value = std::variant<bool, unsigned, std::string>;
using Settings = std::map<CUcoredumpSettings, Value>;

/// Of a path, its final zero included.
constexpr size_t kMostOfPath = 1024;

std::string default_pipe() {
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  return std::string("corepipe.cuda.") + host + "." + std::to_string(::getpid());
}

/// What is set for the whole process, and what for single contexts.
struct Store {
  std::mutex mutex;
  Settings global;
  std::map<CUcontext, Settings> contexts;
};
/// Never destroyed: calls may come after static destructors.
Store& store() {
  static auto* const one = new Store{.mutex = {},
                                     .global = {{CU_COREDUMP_ENABLE_ON_EXCEPTION, false},
                                                {CU_COREDUMP_TRIGGER_HOST, true},
                                                {CU_COREDUMP_LIGHTWEIGHT, false},
                                                {CU_COREDUMP_ENABLE_USER_TRIGGER, false},
                                                {CU_COREDUMP_FILE, std::string()},
                                                {CU_COREDUMP_PIPE, default_pipe()},
                                                {CU_COREDUMP_GENERATION_FLAGS, 0u}},
                                     .contexts = {}};
  return *one;
}

size_t size_of(const Value& value) {
  if (std::holds_alternative<std::string>(value)) return kMostOfPath;
  return std::holds_alternative<bool>(value) ? sizeof(bool) : sizeof(unsigned);
}

CUresult give(const Value& value, void* to, size_t& size) {
  if (to == nullptr) {
    size = size_of(value);
    return CUDA_SUCCESS;
  }
  if (const auto* text = std::get_if<std::string>(&value)) {
    if (size < text->size() + 1) return CUDA_ERROR_INVALID_VALUE;
    std::memcpy(to, text->c_str(), text->size() + 1);
    return CUDA_SUCCESS;
  }
  if (size < size_of(value)) return CUDA_ERROR_INVALID_VALUE;
  if (const bool* flag = std::get_if<bool>(&value)) std::memcpy(to, flag, sizeof *flag);
  if (const unsigned* flags = std::get_if<unsigned>(&value)) std::memcpy(to, flags, sizeof *flags);
  return CUDA_SUCCESS;
}

/// Reads what the program hands over, in the form that the setting has.
CUresult take(const void* from, size_t size, Value& value) {
  if (std::holds_alternative<std::string>(value)) {
    const auto* text = static_cast<const char*>(from);
    const size_t length = ::strnlen(text, std::min(size, kMostOfPath));
    if (length == kMostOfPath) return CUDA_ERROR_INVALID_VALUE;
    value = std::string(text, length);
    return CUDA_SUCCESS;
  }
  if (size < size_of(value)) return CUDA_ERROR_INVALID_VALUE;
  if (bool* flag = std::get_if<bool>(&value)) *flag = *static_cast<const unsigned char*>(from) != 0;
  if (unsigned* flags = std::get_if<unsigned>(&value)) std::memcpy(flags, from, sizeof *flags);
  return CUDA_SUCCESS;
}

CUresult get(CUcontext context, CUcoredumpSettings attribute, void* value, size_t* size) {
  if (size == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(store().mutex);
  const auto known = store().global.find(attribute);
  if (known == store().global.end()) return CUDA_ERROR_INVALID_VALUE;
  if (const auto own = store().contexts.find(context); own != store().contexts.end())
    if (const auto found = own->second.find(attribute); found != own->second.end())
      return give(found->second, value, *size);
  return give(known->second, value, *size);
}

bool starts_dumping(CUcoredumpSettings attribute, const Value& value) {
  return (attribute == CU_COREDUMP_ENABLE_ON_EXCEPTION || attribute == CU_COREDUMP_ENABLE_USER_TRIGGER) &&
         std::get<bool>(value);
}

/// `context` null: for the whole process.
CUresult set(CUcontext context, CUcoredumpSettings attribute, const void* value, size_t* size) {
  if (size == nullptr) return CUDA_ERROR_INVALID_VALUE;
  const std::lock_guard lock(store().mutex);
  const auto known = store().global.find(attribute);
  if (known == store().global.end()) return CUDA_ERROR_INVALID_VALUE;
  if (value == nullptr) {
    *size = size_of(known->second);
    return CUDA_SUCCESS;
  }
  if (context != nullptr && (attribute == CU_COREDUMP_ENABLE_USER_TRIGGER || attribute == CU_COREDUMP_PIPE))
    return CUDA_ERROR_NOT_PERMITTED;
  Value taken = known->second;
  if (const CUresult result = take(value, *size, taken); result != CUDA_SUCCESS) return result;
  if (starts_dumping(attribute, taken)) {
    static Once once;
    if (once.first()) say("core dumps of the GPU are not supported (said once)");
    return CUDA_ERROR_NOT_SUPPORTED;
  }
  (context == nullptr ? store().global : store().contexts[context])[attribute] = std::move(taken);
  return CUDA_SUCCESS;
}

CUresult current(CUcontext& context) {
  const Request probe(api::Op::context_synchronize, true);
  if (probe.refusal() != CUDA_SUCCESS) return probe.refusal();
  context = handle_of(*current_context());
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuCoredumpGetAttribute(CUcoredumpSettings attrib, void* value, size_t* size) {
  CUcontext context = nullptr;
  const CUresult found = current(context);
  return found != CUDA_SUCCESS ? found : get(context, attrib, value, size);
}
CUresult cuCoredumpGetAttributeGlobal(CUcoredumpSettings attrib, void* value, size_t* size) {
  const CUresult ready = initialized();
  return ready != CUDA_SUCCESS ? ready : get(nullptr, attrib, value, size);
}
CUresult cuCoredumpSetAttribute(CUcoredumpSettings attrib, void* value, size_t* size) {
  CUcontext context = nullptr;
  const CUresult found = current(context);
  return found != CUDA_SUCCESS ? found : set(context, attrib, value, size);
}
CUresult cuCoredumpSetAttributeGlobal(CUcoredumpSettings attrib, void* value, size_t* size) {
  const CUresult ready = initialized();
  return ready != CUDA_SUCCESS ? ready : set(nullptr, attrib, value, size);
}

}  // namespace vgpu::shim::calls
