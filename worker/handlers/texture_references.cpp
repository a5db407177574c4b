// Texture and surface references: the way of programs older than texture objects. Of a reference only what names memory
// or travels as an array needs more than to be forwarded.
#include <cstring>
#include <string>

#include "common/api/array_shape.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/handlers/new_handle.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

/// A reference that a module declares. The driver gives the same one each time it is asked.
template <typename Real, typename Get>
CUresult get_of_module(Session& session, HandleTable<Reference<Real>>& table, uint64_t module, uint64_t made,
                       std::string_view name, Get get) {
  const Module* found = session.objects().modules.find(module);
  if (get == nullptr) return CUDA_ERROR_NOT_SUPPORTED;
  if (found == nullptr) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult refused = check_new(session, table, made, "a reference's handle that cannot be made");
      refused != CUDA_SUCCESS)
    return refused;
  Real real = nullptr;
  const CUresult result = get(&real, found->real, std::string(name).c_str());
  if (result == CUDA_SUCCESS) table.bind(made, {real, found->context, module});
  return result;
}

}  // namespace

void texref_create(Session& session, const api::ops::TexrefCreate& op, Call& call) {
  const auto create = session.driver().cuTexRefCreate;
  if (create == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  auto& table = session.objects().texrefs;
  if (const CUresult refused = check_new(session, table, op.made.value, "a reference's handle that cannot be made");
      refused != CUDA_SUCCESS)
    return call.finish(refused);
  CUtexref real = nullptr;
  const CUresult result = create(&real);
  if (result == CUDA_SUCCESS) table.bind(op.made.value, {real, session.context_handle(), 0});
  call.finish(result);
}

void texref_destroy(Session& session, const api::ops::TexrefDestroy& op, Call& call) {
  const auto* reference = session.objects().texrefs.find(op.id.value);
  const auto destroy = session.driver().cuTexRefDestroy;
  if (reference == nullptr || reference->module != 0 || destroy == nullptr)
    return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = destroy(reference->real);
  if (result == CUDA_SUCCESS) session.objects().texrefs.drop(op.id.value);
  call.finish(result);
}

void module_get_texref(Session& session, const api::ops::ModuleGetTexref& op, Call& call) {
  call.finish(get_of_module(session, session.objects().texrefs, op.id.value, op.made.value, op.name,
                            session.driver().cuModuleGetTexRef));
}

void module_get_surfref(Session& session, const api::ops::ModuleGetSurfref& op, Call& call) {
  call.finish(get_of_module(session, session.objects().surfrefs, op.id.value, op.made.value, op.name,
                            session.driver().cuModuleGetSurfRef));
}

void texref_set_address(Session& session, const api::ops::TexrefSetAddress& op, Call& call) {
  const auto set = session.driver().cuTexRefSetAddress_v2;
  CUtexref reference = nullptr;
  if (set == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.id.value, reference)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  // No address: the reference is let go.
  const bool lets_go = op.address == 0 && op.size == 0;
  if (!lets_go && !session.allocations().covers(op.address, op.size)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  size_t offset = 0;
  const CUresult result = set(&offset, reference, op.address, op.size);
  api::ops::TexrefSetAddressReply{offset}.encode(call.reply());
  call.finish(result);
}

void texref_set_address_2d(Session& session, const api::ops::TexrefSetAddress2d& op, Call& call) {
  const DriverTable& driver = session.driver();
  const auto set = op.revision == 2 ? driver.cuTexRefSetAddress2D_v2 : driver.cuTexRefSetAddress2D_v3;
  CUtexref reference = nullptr;
  if (set == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.id.value, reference)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const uint64_t element = element_bytes(op.format, op.channels);
  uint64_t width = 0, size = 0;
  const bool fits = element != 0 && op.height != 0 && !__builtin_mul_overflow(element, op.width, &width) &&
                    width <= op.pitch && !__builtin_mul_overflow(op.pitch, op.height - 1, &size) &&
                    !__builtin_add_overflow(size, width, &size);
  if (!fits || !session.allocations().covers(op.address, size)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUDA_ARRAY_DESCRIPTOR shape{op.width, op.height, op.format, op.channels};
  call.finish(set(reference, &shape, op.address, op.pitch));
}

void texref_set_border_color(Session& session, const api::ops::TexrefSetBorderColor& op, Call& call) {
  const auto set = session.driver().cuTexRefSetBorderColor;
  float color[4] = {};
  CUtexref reference = nullptr;
  if (set == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (op.color.size() != sizeof color) return call.finish(session.violation("a colour of another size"));
  if (!session.objects().find(op.id.value, reference)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  std::memcpy(color, op.color.data(), sizeof color);
  call.finish(set(reference, color));
}

void texref_get_border_color(Session& session, const api::ops::TexrefGetBorderColor& op, Call& call) {
  const auto get = session.driver().cuTexRefGetBorderColor;
  float color[4] = {};
  CUtexref reference = nullptr;
  if (get == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.id.value, reference)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  const CUresult result = get(color, reference);
  api::ops::TexrefGetBorderColorReply{{reinterpret_cast<const uint8_t*>(color), sizeof color}}.encode(call.reply());
  call.finish(result);
}

void surfref_set_array(Session& session, const api::ops::SurfrefSetArray& op, Call& call) {
  const auto set = session.driver().cuSurfRefSetArray;
  CUsurfref reference = nullptr;
  CUarray array = nullptr;
  if (set == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (!session.objects().find(op.id.value, reference)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (!session.objects().find(op.to.value, array)) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  call.finish(set(reference, array, op.flags));
}

}  // namespace vgpu::worker::handlers
