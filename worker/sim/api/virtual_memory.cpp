// Memory that the program maps itself. None of these calls waits for the device, and none needs a context.
#include <span>

#include "worker/sim/api/entry.hpp"

using namespace vgpu::sim::api;
using vgpu::sim::device::PhysicalMemory;
namespace memory = vgpu::sim::memory;

VGPU_SIM_EXPORT(cuMemAddressReserve);
VGPU_SIM_EXPORT(cuMemAddressFree);
VGPU_SIM_EXPORT(cuMemCreate);
VGPU_SIM_EXPORT(cuMemRelease);
VGPU_SIM_EXPORT(cuMemRetainAllocationHandle);
VGPU_SIM_EXPORT(cuMemMap);
VGPU_SIM_EXPORT(cuMemUnmap);
VGPU_SIM_EXPORT(cuMemSetAccess);
VGPU_SIM_EXPORT(cuMemGetAccess);
VGPU_SIM_EXPORT(cuMemGetAllocationGranularity);
VGPU_SIM_EXPORT(cuMemGetAllocationPropertiesFromHandle);

namespace {

constexpr std::uint64_t kGranule = memory::DeviceArena::physical_granule;

bool is_whole(std::uint64_t size) { return size != 0 && size % kGranule == 0; }

unsigned device_of(const PhysicalMemory& memory) { return static_cast<unsigned>(memory.properties().location.id); }

CUresult check(const CUmemAllocationProp* properties) {
  if (properties == nullptr || properties->type != CU_MEM_ALLOCATION_TYPE_PINNED) return CUDA_ERROR_INVALID_VALUE;
  if (properties->location.type != CU_MEM_LOCATION_TYPE_DEVICE) return CUDA_ERROR_INVALID_VALUE;
  if (!Simulator::get().has(properties->location.id)) return CUDA_ERROR_INVALID_DEVICE;
  const bool shareable = (properties->requestedHandleTypes & ~unsigned{CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR}) == 0;
  return shareable ? CUDA_SUCCESS : CUDA_ERROR_NOT_SUPPORTED;
}

}  // namespace

CUresult cuMemAddressReserve(CUdeviceptr* out, std::size_t size, std::size_t alignment, CUdeviceptr wanted,
                             unsigned long long flags) {
  return without_context([&] {
    if (out == nullptr || flags != 0 || !is_whole(size) || (alignment & (alignment - 1)) != 0)
      return CUDA_ERROR_INVALID_VALUE;
    const auto address = Simulator::get().arena.reserve(size, alignment, wanted);
    if (!address) return CUDA_ERROR_OUT_OF_MEMORY;
    *out = *address;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemAddressFree(CUdeviceptr address, std::size_t size) {
  return without_context(
      [&] { return Simulator::get().arena.unreserve(address, size) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuMemCreate(CUmemGenericAllocationHandle* out, std::size_t size, const CUmemAllocationProp* properties,
                     unsigned long long flags) {
  return without_context([&] {
    if (out == nullptr || flags != 0 || !is_whole(size)) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult result = check(properties); result != CUDA_SUCCESS) return result;
    Simulator& sim = Simulator::get();
    const auto made = PhysicalMemory::make(sim.arena, size, *properties);
    if (made == nullptr) return CUDA_ERROR_OUT_OF_MEMORY;
    sim.physical.retain(made);
    *out = made->handle();
    return CUDA_SUCCESS;
  });
}

CUresult cuMemRelease(CUmemGenericAllocationHandle handle) {
  return without_context(
      [&] { return Simulator::get().physical.release(handle) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; });
}

CUresult cuMemRetainAllocationHandle(CUmemGenericAllocationHandle* out, void* at) {
  return without_context([&] {
    Simulator& sim = Simulator::get();
    const auto mapping = sim.arena.find(reinterpret_cast<std::uint64_t>(at));
    if (out == nullptr || !mapping || !mapping->mapped) return CUDA_ERROR_INVALID_VALUE;
    const auto memory = sim.physical.mapped_at(mapping->address);
    if (memory == nullptr) return CUDA_ERROR_INVALID_VALUE;
    sim.physical.retain(memory);
    *out = memory->handle();
    return CUDA_SUCCESS;
  });
}

CUresult cuMemMap(CUdeviceptr address, std::size_t size, std::size_t offset, CUmemGenericAllocationHandle handle,
                  unsigned long long flags) {
  return without_context([&] {
    Simulator& sim = Simulator::get();
    const auto memory = sim.physical.find(handle);
    // Only whole pieces can be mapped (measured).
    if (offset != 0 || (memory != nullptr && size != memory->size())) return CUDA_ERROR_NOT_SUPPORTED;
    if (memory == nullptr || flags != 0 || !is_whole(size) || address % kGranule != 0) return CUDA_ERROR_INVALID_VALUE;
    if (!sim.arena.map(address, size, memory->file(), device_of(*memory))) return CUDA_ERROR_INVALID_VALUE;
    sim.physical.note_mapping(address, memory);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemUnmap(CUdeviceptr address, std::size_t size) {
  return without_context([&] {
    Simulator& sim = Simulator::get();
    const auto mappings = sim.arena.mappings_in(address, size);
    if (!mappings) return CUDA_ERROR_INVALID_VALUE;
    for (const memory::Allocation& mapping : *mappings) sim.arena.set_live(mapping, false);
    sim.arena.unmap(address, size);
    for (const memory::Allocation& mapping : *mappings) sim.physical.forget_mapping(mapping.address);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemSetAccess(CUdeviceptr address, std::size_t size, const CUmemAccessDesc* access, std::size_t count) {
  return without_context([&] {
    if (access == nullptr || count == 0) return CUDA_ERROR_INVALID_VALUE;
    unsigned opened = 0, closed = 0;
    for (const CUmemAccessDesc& one : std::span(access, count)) {
      if (one.location.type != CU_MEM_LOCATION_TYPE_DEVICE || !Simulator::get().has(one.location.id))
        return CUDA_ERROR_INVALID_VALUE;
      const bool open = one.flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
      if (!open && one.flags != CU_MEM_ACCESS_FLAGS_PROT_NONE) return CUDA_ERROR_INVALID_VALUE;
      (open ? opened : closed) |= 1u << one.location.id;
    }
    memory::DeviceArena& arena = Simulator::get().arena;
    const auto mappings = arena.mappings_in(address, size);
    std::uint64_t mapped = 0;
    for (const memory::Allocation& mapping : mappings.value_or(std::vector<memory::Allocation>()))
      mapped += mapping.size;
    if (mapped != size) return CUDA_ERROR_INVALID_VALUE;
    for (const memory::Allocation& mapping : *mappings)
      arena.set_access(mapping, (arena.access(mapping) & ~closed) | opened);
    return CUDA_SUCCESS;
  });
}

CUresult cuMemGetAccess(unsigned long long* flags, const CUmemLocation* location, CUdeviceptr address) {
  return without_context([&] {
    memory::DeviceArena& arena = Simulator::get().arena;
    const auto mapping = arena.find(address);
    if (flags == nullptr || location == nullptr || !mapping || !mapping->mapped) return CUDA_ERROR_INVALID_VALUE;
    if (location->type != CU_MEM_LOCATION_TYPE_DEVICE || !Simulator::get().has(location->id))
      return CUDA_ERROR_INVALID_DEVICE;
    const bool open = (arena.access(*mapping) >> location->id & 1) != 0;
    *flags = open ? CU_MEM_ACCESS_FLAGS_PROT_READWRITE : CU_MEM_ACCESS_FLAGS_PROT_NONE;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemGetAllocationGranularity(std::size_t* granularity, const CUmemAllocationProp* properties,
                                       CUmemAllocationGranularity_flags option) {
  return without_context([&] {
    if (granularity == nullptr || option > CU_MEM_ALLOC_GRANULARITY_RECOMMENDED) return CUDA_ERROR_INVALID_VALUE;
    if (const CUresult result = check(properties); result != CUDA_SUCCESS) return result;
    *granularity = kGranule;
    return CUDA_SUCCESS;
  });
}

CUresult cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp* properties, CUmemGenericAllocationHandle handle) {
  return without_context([&] {
    const auto memory = Simulator::get().physical.find(handle);
    if (properties == nullptr || memory == nullptr) return CUDA_ERROR_INVALID_VALUE;
    *properties = memory->properties();
    return CUDA_SUCCESS;
  });
}
