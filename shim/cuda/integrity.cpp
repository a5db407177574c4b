#include "shim/cuda/integrity.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "common/base/md2.hpp"
#include "shim/client/device_facts.hpp"
#include "shim/cuda/calls.gen.hpp"

namespace vgpu::shim {
namespace {

constexpr std::array<uint8_t, 16> kKey = {0x14, 0x6a, 0xdd, 0xae, 0x53, 0xa9, 0xa7, 0x52,
                                          0xaa, 0x08, 0x41, 0x36, 0x0b, 0xf5, 0x5a, 0x9f};

// Versions that end in 0 and 1 have fixed answers.
constexpr uint64_t kFixed0[2] = {0x3341181c03cb675c, 0x8ed383aa1f4cd1e8};
constexpr uint64_t kFixed1[2] = {0x1841181c03cb675c, 0x8ed383aa1f4cd1e8};

template <typename T>
void append(std::vector<uint8_t>& message, const T& value) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
  message.insert(message.end(), bytes, bytes + sizeof value);
}

/// Little-endian and packed: who we are, where our tables lie, and which devices there are.
CUresult compose(uint32_t version, uint64_t unix_seconds, std::vector<uint8_t>& message) {
  int driver_version = 0;
  CUresult result = calls::cuDriverGetVersion(&driver_version);
  int devices = 0;
  if (result == CUDA_SUCCESS) result = device_count(devices);
  if (result != CUDA_SUCCESS) return result;
  const IntegrityTables tables = integrity_tables();
  append(message, static_cast<uint32_t>(driver_version));
  append(message, version);
  append(message, static_cast<uint32_t>(getpid()));
  append(message, static_cast<uint32_t>(pthread_self()));
  append(message, reinterpret_cast<uint64_t>(tables.cudart_interface));
  append(message, reinterpret_cast<uint64_t>(tables.integrity));
  append(message, reinterpret_cast<uint64_t>(&integrity_check));
  append(message, unix_seconds);
  for (CUdevice device = 0; device < devices; ++device) {
    const DeviceFacts* facts = nullptr;
    result = device_facts(device, facts);
    if (result != CUDA_SUCCESS) return result;
    append(message, facts->uuid);
    append(message, facts->attribute(CU_DEVICE_ATTRIBUTE_PCI_DOMAIN_ID));
    append(message, facts->attribute(CU_DEVICE_ATTRIBUTE_PCI_BUS_ID));
    append(message, facts->attribute(CU_DEVICE_ATTRIBUTE_PCI_DEVICE_ID));
  }
  return CUDA_SUCCESS;
}

}  // namespace

CUresult integrity_check(uint32_t version, uint64_t unix_seconds, uint64_t* result) {
  if (result == nullptr) return CUDA_ERROR_INVALID_VALUE;
  if (version % 10 < 2) {
    std::memcpy(result, version % 10 == 0 ? kFixed0 : kFixed1, sizeof kFixed0);
    return CUDA_SUCCESS;
  }
  std::vector<uint8_t> message;
  const CUresult composed = compose(version, unix_seconds, message);
  if (composed != CUDA_SUCCESS) return composed;
  const base::Md2Digest digest = base::hmac_md2(kKey, message);
  std::memcpy(result, digest.data(), digest.size());
  return CUDA_SUCCESS;
}

}  // namespace vgpu::shim
