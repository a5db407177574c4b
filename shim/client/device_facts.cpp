#include "shim/client/device_facts.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>

#include "shim/client/request.hpp"
#include "shim/client/startup.hpp"

namespace vgpu::shim {
namespace {

constexpr int kMaxDevices = 64;

std::mutex fetch_mutex;
/// Never freed: readers hold plain pointers.
std::atomic<const DeviceFacts*> facts_known[kMaxDevices];

// What remoting cannot offer. Programs look here before they use a feature, so each answer is 0, whatever the host's
// device can do.
constexpr unsigned kNotOffered[] = {
    CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY,             // pages would have to move between two machines on a fault
    CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS,  // the same
    CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST,           // the same
    CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS,                        // the GPU does not see the guest's page tables
    CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES,  // the same
    CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED,                  // handles of the host's fabric
    CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED,                             // descriptors again
    CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED,                     // no other device of the guest reaches the GPU
    CU_DEVICE_ATTRIBUTE_TIMELINE_SEMAPHORE_INTEROP_SUPPORTED,          // graphics interoperability
    CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,       // registering is bookkeeping of the guest
    CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED,              // NVLink multicast is a matter of the host's fabric
    CU_DEVICE_ATTRIBUTE_COOPERATIVE_MULTI_DEVICE_LAUNCH,  // deprecated, and the kernels' way to each other is the
                                                          // driver's
    CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS,        // the same pointer cannot mean code here and there
};

DeviceFacts decode(const api::ops::DeviceFactsReply& reply) {
  DeviceFacts facts;
  facts.total_memory = reply.total_memory;
  std::copy_n(reply.uuid.begin(), std::min<size_t>(reply.uuid.size(), sizeof facts.uuid.bytes), facts.uuid.bytes);
  facts.name = reply.name;
  facts.attributes.fill(DeviceFacts::kInvalid);
  const size_t count = std::min(reply.attributes.size() / sizeof(int32_t), DeviceFacts::kAttributes - 1);
  if (count != 0) std::memcpy(&facts.attributes[1], reply.attributes.data(), count * sizeof(int32_t));
  for (const unsigned number : kNotOffered) {
    if (facts.attributes[number] != DeviceFacts::kInvalid) facts.attributes[number] = 0;
  }
  int32_t& pools = facts.attributes[CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES];
  if (pools != DeviceFacts::kInvalid) pools &= CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
  return facts;
}

}  // namespace

CUresult device_count(int& count) {
  const CUresult ready = initialized();
  count = ready == CUDA_SUCCESS ? std::min(device_count(), kMaxDevices) : 0;
  return ready;
}

int newest_version() { return initialized() == CUDA_SUCCESS ? driver_version() : kNewestDriverVersion; }

CUresult device_facts(CUdevice device, const DeviceFacts*& facts) {
  facts = nullptr;
  int count = 0;
  const CUresult counted = device_count(count);
  if (counted != CUDA_SUCCESS) return counted;
  if (device < 0 || device >= count) return CUDA_ERROR_INVALID_DEVICE;
  facts = facts_known[device].load(std::memory_order_acquire);
  if (facts != nullptr) return CUDA_SUCCESS;

  const std::lock_guard lock(fetch_mutex);
  facts = facts_known[device].load(std::memory_order_acquire);
  if (facts != nullptr) return CUDA_SUCCESS;
  Request request(api::ops::DeviceFacts::kOp, api::ops::DeviceFacts::kNeedsContext);
  api::ops::DeviceFactsReply reply;
  const CUresult result = call(request, api::ops::DeviceFacts{.ordinal = static_cast<uint32_t>(device)}, reply);
  if (result != CUDA_SUCCESS) return result;
  facts = new DeviceFacts(decode(reply));
  facts_known[device].store(facts, std::memory_order_release);
  return CUDA_SUCCESS;
}

const DeviceFacts* device_facts(CUdevice device) {
  const DeviceFacts* facts = nullptr;
  static_cast<void>(device_facts(device, facts));
  return facts;
}

}  // namespace vgpu::shim
