// The operations of NVML. What a question's arguments and answer are is generated from nvml.table.
#include "common/api/nvml_questions.gen.hpp"
#include "worker/handlers/handlers.gen.hpp"
#include "worker/nvml/questions.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

using namespace vgpu::nvml;

constexpr size_t kMostAnswer = 512;

/// One value of nvmlDeviceGetFieldValues: the guest asks them one by one.
nvmlReturn_t ask_field_value(nvml::Library& library, nvmlDevice_t device, wire::Reader& in, wire::Writer& out) {
  nvmlFieldValue_t value{};
  in.raw(&value, sizeof value);
  if (!in.complete()) return nvml::kMalformed;
  const auto call = library.functions().nvmlDeviceGetFieldValues;
  if (call == nullptr) return NVML_ERROR_NOT_SUPPORTED;
  const nvmlReturn_t result = call(device, 1, &value);
  if (result == NVML_SUCCESS) out.raw(&value, sizeof value);
  return result;
}

nvmlReturn_t open(Session& session) {
  const nvmlReturn_t result = session.nvml().open();
  if (const std::string complaint = session.nvml().take_complaint(); !complaint.empty())
    session.tell(complaint, CUDA_SUCCESS);
  return result;
}

nvmlReturn_t ask(Session& session, const api::ops::NvmlQuery& op, wire::Writer& out) {
  if (const nvmlReturn_t opened = open(session); opened != NVML_SUCCESS) return opened;
  nvml::Library& library = session.nvml();
  constexpr auto kFieldValues = static_cast<uint32_t>(Question::nvmlDeviceGetFieldValues);
  constexpr nvml::Question kByHand{kFieldValues, "nvmlDeviceGetFieldValues", true, &ask_field_value};
  const nvml::Question* question = op.question == kFieldValues ? &kByHand : nvml::find_question(op.question);
  // Of a newer guest.
  if (question == nullptr) return NVML_ERROR_NOT_SUPPORTED;
  nvmlDevice_t device = nullptr;
  if (question->is_of_device && !library.device(op.device, device)) return NVML_ERROR_INVALID_ARGUMENT;
  wire::Reader in(op.arguments);
  const nvmlReturn_t result = question->ask(library, device, in, out);
  return out.failed() ? NVML_ERROR_UNKNOWN : result;
}

bool has_context(Session& session, nvmlDevice_t device) {
  bool found = false;
  session.contexts().for_each([&](uint64_t handle) {
    const ContextState* context = session.contexts().find(handle);
    found = found || (context != nullptr && session.nvml().is_same(device, context->device));
  });
  return found;
}

}  // namespace

void nvml_open(Session& session, const api::ops::NvmlOpen&, Call& call) {
  const nvmlReturn_t opened = open(session);
  const uint32_t count = opened == NVML_SUCCESS ? session.nvml().device_count() : 0;
  api::ops::NvmlOpenReply{static_cast<uint32_t>(opened), count}.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

void nvml_query(Session& session, const api::ops::NvmlQuery& op, Call& call) {
  uint8_t answer[kMostAnswer];
  wire::Writer out{std::span<uint8_t>(answer)};
  const nvmlReturn_t result = ask(session, op, out);
  if (result == nvml::kMalformed) return call.finish(session.violation("an NVML question of the wrong length"));
  const bool answered = result == NVML_SUCCESS;
  api::ops::NvmlQueryReply{static_cast<uint32_t>(result), answered ? out.written() : wire::Bytes()}.encode(
      call.reply());
  call.finish(CUDA_SUCCESS);
}

void nvml_process(Session& session, const api::ops::NvmlProcess& op, Call& call) {
  api::ops::NvmlProcessReply reply;
  nvmlReturn_t result = open(session);
  nvmlDevice_t device = nullptr;
  if (result == NVML_SUCCESS && !session.nvml().device(op.device, device)) result = NVML_ERROR_INVALID_ARGUMENT;
  if (result == NVML_SUCCESS && has_context(session, device)) {
    reply.has_context = 1;
    const uint64_t allocated = session.allocations().charged() + session.virtual_memory().charged();
    reply.used_memory = session.nvml().own_memory(device, allocated);
  }
  reply.result = static_cast<uint32_t>(result);
  reply.encode(call.reply());
  call.finish(CUDA_SUCCESS);
}

}  // namespace vgpu::worker::handlers
