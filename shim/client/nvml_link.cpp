#include "shim/client/nvml_link.hpp"

#include <algorithm>
#include <cstring>

#include "common/api/nvml_questions.gen.hpp"
#include "common/api/ops.gen.hpp"
#include "shim/client/channel.hpp"
#include "shim/client/startup.hpp"
#include "shim/client/trace.hpp"

namespace vgpu::shim {
namespace {

/// Room for the answer of one operation; views in its reply lead here.
struct Room {
  uint8_t body[512];
  uint8_t data[VGPU_SLOT_DATA];
};

template <typename Op, typename Reply>
int ask(Room& room, const Op& op, Reply& reply) {
  Channel* channel = nullptr;
  if (const CUresult connected = connected_channel(channel); connected != CUDA_SUCCESS) return connected;
  wire::Writer body{std::span<uint8_t>(room.body)};
  op.encode(body);
  if (body.failed()) return CUDA_ERROR_INVALID_VALUE;
  Answer answer;
  const CUresult sent = channel->call(kCommonSlot, static_cast<uint16_t>(Op::kOp), 0, body.written(), {},
                                      std::span<uint8_t>(room.data), answer);
  if (sent != CUDA_SUCCESS) return sent;
  if (answer.result != CUDA_SUCCESS) return answer.result;
  wire::Reader reader(wire::Bytes(room.data, answer.length));
  return reply.decode(reader) ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

/// In words that operators know; only if asked for.
void tell_of_start() {
  Room room;
  api::ops::NvmlQueryReply reply;
  constexpr auto kName = static_cast<uint32_t>(::vgpu::nvml::Question::nvmlDeviceGetName);
  std::string_view name;
  if (ask(room, api::ops::NvmlQuery{kName, 0, {}}, reply) == CUDA_SUCCESS) {
    wire::Reader reader(reply.answer);
    name = reader.text(VGPU_SLOT_DATA);
  }
  trace::tell("[libvgpu-nvml] nvmlInit() succeeded: %.*s", static_cast<int>(name.size()), name.data());
}

int open(uint32_t* result, uint32_t* device_count) {
  Room room;
  api::ops::NvmlOpenReply reply;
  const int asked = ask(room, api::ops::NvmlOpen{}, reply);
  *result = reply.result;
  *device_count = reply.device_count;
  if (asked == CUDA_SUCCESS && reply.result == 0 && trace::is_wanted()) tell_of_start();
  return asked;
}

int query(uint32_t question, uint32_t device, const void* arguments, size_t arguments_size, void* answer,
          size_t* answer_size, uint32_t* result) {
  Room room;
  api::ops::NvmlQueryReply reply;
  const wire::Bytes bytes(static_cast<const uint8_t*>(arguments), arguments_size);
  const int asked = ask(room, api::ops::NvmlQuery{question, device, bytes}, reply);
  *result = reply.result;
  *answer_size = std::min(*answer_size, reply.answer.size());
  if (*answer_size != 0) std::memcpy(answer, reply.answer.data(), *answer_size);
  return asked;
}

int process(uint32_t device, uint32_t* result, uint32_t* has_context, uint64_t* used_memory) {
  Room room;
  api::ops::NvmlProcessReply reply;
  const int asked = ask(room, api::ops::NvmlProcess{device}, reply);
  *result = reply.result;
  *has_context = reply.has_context;
  *used_memory = reply.used_memory;
  return asked;
}

}  // namespace

const nvml::Bridge& nvml_bridge() {
  static constexpr nvml::Bridge kBridge{sizeof(nvml::Bridge), nvml::kBridgeVersion, &open, &query, &process,
                                        &driver_version};
  return kBridge;
}

}  // namespace vgpu::shim
