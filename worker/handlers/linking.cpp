// cuLink*: links in the making.
#include <memory>
#include <string>

#include "worker/handlers/code_input.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

/// For all operations on a link but its making.
Link* find_link(Session& session, uint64_t number) { return session.links().find(number); }

/// Where the driver would believe sizes inside the input, they are looked at first.
bool names_its_size(CUjitInputType type) { return type == CU_JIT_INPUT_CUBIN || type == CU_JIT_INPUT_FATBINARY; }

template <typename Reply>
void give_link_logs(Session& session, const Link& link, uint64_t log_offset, Reply& reply) {
  give_logs(session, log_offset, link.info_log_size, link.error_log_size, link.options, reply);
}

}  // namespace

void link_create(Session& session, const api::ops::LinkCreate& op, Call& call) {
  const DriverTable& driver = session.driver();
  if (driver.cuLinkCreate_v2 == nullptr || driver.cuLinkAddData_v2 == nullptr || driver.cuLinkComplete == nullptr ||
      driver.cuLinkDestroy == nullptr)
    return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  if (find_link(session, op.link) != nullptr) return call.finish(session.violation("a link that cannot be made"));
  if (session.links().is_full()) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  auto link = std::make_unique<Link>();
  if (!link->options.read(op.options)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  link->context = session.context_handle();
  link->info_log_size = op.info_log_size;
  link->error_log_size = op.error_log_size;
  link->options.add_logs(op.info_log_size, op.error_log_size);
  const CUresult result =
      driver.cuLinkCreate_v2(link->options.count(), link->options.names(), link->options.values(), &link->real);
  if (result == CUDA_SUCCESS) session.links().add(op.link, std::move(link));
  call.finish(result);
}

void link_add(Session& session, const api::ops::LinkAdd& op, Call& call) {
  Link* link = find_link(session, op.link);
  if (link == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (op.type >= CU_JIT_NUM_INPUT_TYPES) return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (!session.links().has_room(op.size)) return call.finish(CUDA_ERROR_OUT_OF_MEMORY);
  std::vector<uint8_t> input;
  if (!copy_image(session, op.offset, op.size, input))
    return call.finish(session.violation("an input of a link outside the heap"));
  LoadOptions options;
  if (!options.read(op.options)) return call.finish(CUDA_ERROR_INVALID_VALUE);
  if (names_its_size(op.type) && !is_sound(input)) return call.finish(CUDA_ERROR_INVALID_IMAGE);
  const std::string name(op.name);
  const CUresult result = session.driver().cuLinkAddData_v2(link->real, op.type, input.data(), op.size,
                                                            name.empty() ? nullptr : name.c_str(), options.count(),
                                                            options.names(), options.values());
  if (result == CUDA_SUCCESS) session.links().count_input(*link, op.size);
  api::ops::LinkAddReply reply;
  give_link_logs(session, *link, op.log_offset, reply);
  reply.encode(call.reply());
  call.finish(result);
}

void link_complete(Session& session, const api::ops::LinkComplete& op, Call& call) {
  Link* link = find_link(session, op.link);
  if (link == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  void* image = nullptr;
  size_t size = 0;
  const CUresult result = session.driver().cuLinkComplete(link->real, &image, &size);
  if (result == CUDA_SUCCESS) link->image = {static_cast<const uint8_t*>(image), size};
  api::ops::LinkCompleteReply reply{.size = size};
  give_link_logs(session, *link, op.log_offset, reply);
  reply.encode(call.reply());
  call.finish(result);
}

void link_image(Session& session, const api::ops::LinkImage& op, Call& call) {
  const Link* link = find_link(session, op.link);
  if (link == nullptr) return call.finish(CUDA_ERROR_INVALID_HANDLE);
  if (op.size != link->image.size() || !session.window().heap_contains(op.offset, op.size))
    return call.finish(session.violation("a linked image outside the heap"));
  session.window().copy_in(op.offset, link->image);
  call.finish(CUDA_SUCCESS);
}

void link_destroy(Session& session, const api::ops::LinkDestroy& op, Call& call) {
  call.finish(session.links().destroy(op.link));
}

}  // namespace vgpu::worker::handlers
