// cuLink*: PTX texts, and fat binaries that hold them, become one text.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>

#include "worker/sim/api/entry.hpp"
#include "worker/sim/image/image.hpp"
#include "worker/sim/ptx/parser.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::ProgramLog;
using vgpu::sim::device::PtxLink;
namespace image = vgpu::sim::image;
namespace ptx = vgpu::sim::ptx;

VGPU_SIM_EXPORT(cuLinkCreate);
VGPU_SIM_EXPORT(cuLinkCreate_v2);
VGPU_SIM_EXPORT(cuLinkAddData);
VGPU_SIM_EXPORT(cuLinkAddData_v2);
VGPU_SIM_EXPORT(cuLinkAddFile);
VGPU_SIM_EXPORT(cuLinkAddFile_v2);
VGPU_SIM_EXPORT(cuLinkComplete);
VGPU_SIM_EXPORT(cuLinkDestroy);

void ProgramLog::add(const std::string& line) {
  text += line + '\n';
  const std::size_t written = buffer == nullptr || room == 0 ? 0 : std::min(text.size(), room - 1);
  if (buffer != nullptr && room != 0) {
    std::memcpy(buffer, text.data(), written);
    buffer[written] = '\0';
  }
  if (used != nullptr) *used = reinterpret_cast<void*>(written);
}

namespace {

using LinkPtr = std::shared_ptr<PtxLink>;

template <typename Body>
CUresult with_link(CUlinkState state, Body body) {
  return without_context([&] {
    const LinkPtr link = Simulator::get().links.find(state);
    if (link == nullptr) return CUDA_ERROR_INVALID_HANDLE;
    const std::lock_guard lock(link->mutex);
    return static_cast<CUresult>(body(*link));
  });
}

CUresult refuse(PtxLink& link, const std::string& name, const vgpu::base::Error& error) {
  link.error.add((name.empty() ? "an input" : name) + ": " + error.text);
  return static_cast<CUresult>(error.code);
}

CUresult read_options(PtxLink& link, unsigned count, const CUjit_option* options, void** values) {
  if (count != 0 && (options == nullptr || values == nullptr)) return CUDA_ERROR_INVALID_VALUE;
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] >= CU_JIT_NUM_OPTIONS) return CUDA_ERROR_INVALID_VALUE;
    ProgramLog& log = options[i] <= CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES ? link.info : link.error;
    if (options[i] == CU_JIT_INFO_LOG_BUFFER || options[i] == CU_JIT_ERROR_LOG_BUFFER)
      log.buffer = static_cast<char*>(values[i]);
    if (options[i] == CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES || options[i] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES) {
      log.room = static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(values[i]));
      log.used = &values[i];
    }
  }
  return CUDA_SUCCESS;
}

CUresult add(PtxLink& link, CUjitInputType type, std::span<const std::byte> input, const std::string& name) {
  if (type >= CU_JIT_NUM_INPUT_TYPES || input.empty()) return CUDA_ERROR_INVALID_VALUE;
  if (type != CU_JIT_INPUT_PTX && type != CU_JIT_INPUT_FATBINARY)
    return refuse(link, name, {CUDA_ERROR_NO_BINARY_FOR_GPU, "this device links PTX only"});
  // A text need not end in a zero here: its size is known.
  const auto text =
      type == CU_JIT_INPUT_PTX
          ? vgpu::base::Result<std::string>(std::string(reinterpret_cast<const char*>(input.data()), input.size()))
          : image::read_image(input);
  if (!text) return refuse(link, name, text.error());
  const auto parsed = ptx::parse_ptx(*text);
  if (!parsed) return refuse(link, name, parsed.error());
  link.text += text->substr(0, std::min(text->find('\0'), text->size())) + '\n';
  return CUDA_SUCCESS;
}

/// A function that is called for and defined nowhere, or null.
const ptx::Function* find_undefined(const ptx::Module& module) {
  const auto found = std::find_if(module.functions.begin(), module.functions.end(), [](const ptx::Function& function) {
    return !function.defined && function.builtin == ptx::Builtin::none;
  });
  return found != module.functions.end() ? &*found : nullptr;
}

CUresult complete(PtxLink& link) {
  const auto linked = ptx::parse_ptx(link.text);
  if (!linked) return refuse(link, "the linked code", linked.error());
  if (const ptx::Function* missing = find_undefined(*linked); missing != nullptr)
    return refuse(link, "the linked code", {CUDA_ERROR_NOT_FOUND, "undefined reference to '" + missing->name + "'"});
  const auto external = std::find_if(linked->variables.begin(), linked->variables.end(), [](const auto& variable) {
    return variable.external && variable.space != ptx::Space::shared;
  });
  if (external != linked->variables.end())
    return refuse(link, "the linked code", {CUDA_ERROR_NOT_FOUND, "undefined reference to '" + external->name + "'"});
  link.complete = true;
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuLinkCreate_v2(unsigned count, CUjit_option* options, void** values, CUlinkState* out) {
  return with_context([&](const ContextPtr&) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    auto link = std::make_shared<PtxLink>();
    if (const CUresult result = read_options(*link, count, options, values); result != CUDA_SUCCESS) return result;
    const std::uint64_t handle = vgpu::sim::device::next_handle();
    Simulator::get().links.add(handle, std::move(link));
    *out = as_handle<CUlinkState>(handle);
    return CUDA_SUCCESS;
  });
}
CUresult cuLinkCreate(unsigned count, CUjit_option* options, void** values, CUlinkState* out) {
  return cuLinkCreate_v2(count, options, values, out);
}

CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void* data, std::size_t size, const char* name,
                          unsigned, CUjit_option*, void**) {
  return with_link(state, [&](PtxLink& link) {
    if (data == nullptr) return CUDA_ERROR_INVALID_VALUE;
    return add(link, type, {static_cast<const std::byte*>(data), size}, name != nullptr ? name : "");
  });
}
CUresult cuLinkAddData(CUlinkState state, CUjitInputType type, void* data, std::size_t size, const char* name,
                       unsigned count, CUjit_option* options, void** values) {
  return cuLinkAddData_v2(state, type, data, size, name, count, options, values);
}

CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char* path, unsigned, CUjit_option*, void**) {
  return with_link(state, [&](PtxLink& link) {
    if (path == nullptr) return CUDA_ERROR_INVALID_VALUE;
    std::ifstream file(path, std::ios::binary);
    if (!file) return CUDA_ERROR_FILE_NOT_FOUND;
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    return add(link, type, std::as_bytes(std::span(bytes)), path);
  });
}
CUresult cuLinkAddFile(CUlinkState state, CUjitInputType type, const char* path, unsigned count, CUjit_option* options,
                       void** values) {
  return cuLinkAddFile_v2(state, type, path, count, options, values);
}

CUresult cuLinkComplete(CUlinkState state, void** out, std::size_t* size) {
  return with_link(state, [&](PtxLink& link) {
    if (out == nullptr) return CUDA_ERROR_INVALID_VALUE;
    if (!link.complete) {
      if (const CUresult result = complete(link); result != CUDA_SUCCESS) return result;
    }
    *out = link.text.data();
    if (size != nullptr) *size = link.text.size() + 1;  // its final zero included
    return CUDA_SUCCESS;
  });
}

CUresult cuLinkDestroy(CUlinkState state) {
  return without_context(
      [&] { return Simulator::get().links.take(state) != nullptr ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE; });
}
