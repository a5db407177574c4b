// Facts about driver and devices, fetched in bulk: the guest answers all later questions itself.
#include <cstring>

#include "worker/handlers/handlers.gen.hpp"
#include "worker/session.hpp"

namespace vgpu::worker::handlers {
namespace {

constexpr unsigned kAttributes = 160;  // as many as fit the reply; the driver of today knows 147
// Tells the guest that the driver does not know an attribute.
constexpr int32_t kNoSuchAttribute = INT32_MIN + 1;

}  // namespace

void driver_facts(Session& session, const api::ops::DriverFacts&, Call& call) {
  int version = 0, count = 0;
  CUresult result = session.driver().cuDriverGetVersion(&version);
  if (result == CUDA_SUCCESS) result = session.driver().cuDeviceGetCount(&count);
  api::ops::DriverFactsReply{static_cast<uint32_t>(version), static_cast<uint32_t>(count)}.encode(call.reply());
  call.finish(result);
}

void device_facts(Session& session, const api::ops::DeviceFacts& op, Call& call) {
  const DriverTable& driver = session.driver();
  CUdevice device = 0;
  size_t memory = 0;
  CUuuid uuid{};
  char name[256] = {};
  CUresult result = driver.cuDeviceGet(&device, static_cast<int>(op.ordinal));
  if (result == CUDA_SUCCESS) result = driver.cuDeviceTotalMem_v2(&memory, device);
  if (result == CUDA_SUCCESS) result = driver.cuDeviceGetName(name, sizeof name - 1, device);
  if (result == CUDA_SUCCESS)
    result = (driver.cuDeviceGetUuid_v2 != nullptr ? driver.cuDeviceGetUuid_v2 : driver.cuDeviceGetUuid)(&uuid, device);
  if (result != CUDA_SUCCESS) return call.finish(result);
  int32_t attributes[kAttributes];
  for (unsigned i = 0; i < kAttributes; ++i) {
    int value = 0;
    attributes[i] = driver.cuDeviceGetAttribute(&value, i + 1, device) == CUDA_SUCCESS ? value : kNoSuchAttribute;
  }
  unsigned known = kAttributes;
  while (known > 0 && attributes[known - 1] == kNoSuchAttribute) --known;
  uint8_t bytes[sizeof attributes];
  std::memcpy(bytes, attributes, sizeof attributes);
  api::ops::DeviceFactsReply{memory,
                             {uuid.bytes, sizeof uuid.bytes},
                             std::string_view(name, std::min<size_t>(strlen(name), 200)),
                             {bytes, known * sizeof(int32_t)}}
      .encode(call.reply());
  call.finish(call.reply().failed() ? CUDA_ERROR_UNKNOWN : CUDA_SUCCESS);
}

void console_read(Session& session, const api::ops::ConsoleRead&, Call& call) {
  session.console().collect();
  call.finish(CUDA_SUCCESS);
}

void atomic_capabilities(Session& session, const api::ops::AtomicCapabilities& op, Call& call) {
  const DriverTable& driver = session.driver();
  const auto of_host = driver.cuDeviceGetHostAtomicCapabilities;
  const auto of_peer = driver.cuDeviceGetP2PAtomicCapabilities;
  if (of_host == nullptr || of_peer == nullptr) return call.finish(CUDA_ERROR_NOT_SUPPORTED);
  constexpr size_t kMost = 200;
  CUatomicOperation operations[kMost] = {};
  unsigned capabilities[kMost] = {};
  const auto count = static_cast<unsigned>(op.operations.size() / sizeof *operations);
  if (count == 0 || count * sizeof *operations != op.operations.size())
    return call.finish(session.violation("atomic operations of a wrong size"));
  std::memcpy(operations, op.operations.data(), op.operations.size());
  const CUresult result = op.has_peer != 0 ? of_peer(capabilities, operations, count, static_cast<int>(op.device),
                                                     static_cast<int>(op.peer))
                                           : of_host(capabilities, operations, count, static_cast<int>(op.device));
  uint8_t bytes[sizeof capabilities];
  std::memcpy(bytes, capabilities, sizeof bytes);
  api::ops::AtomicCapabilitiesReply{{bytes, count * sizeof *capabilities}}.encode(call.reply());
  call.finish(result);
}

}  // namespace vgpu::worker::handlers
