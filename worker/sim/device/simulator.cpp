#include "worker/sim/device/simulator.hpp"

#include <algorithm>
#include <cstdlib>

#include "worker/sim/device/visible_devices.hpp"

namespace vgpu::sim::device {
namespace {

/// A number with an optional K, M or G; `otherwise` if the variable is not set or makes no sense.
std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = ::secure_getenv(name);
  if (text == nullptr || *text == '\0') return otherwise;
  char* end = nullptr;
  const std::uint64_t number = std::strtoull(text, &end, 0);
  switch (*end) {
    case '\0':
      return number;
    case 'K':
      return number << 10;
    case 'M':
      return number << 20;
    case 'G':
      return number << 30;
    default:
      return otherwise;
  }
}

Settings read_settings() {
  constexpr std::uint64_t least = 64ull << 20, most = 64ull << 30;
  Settings settings;
  settings.seed = from_environment("VGPU_SIM_SEED", settings.seed);
  settings.devices =
      static_cast<unsigned>(std::clamp<std::uint64_t>(from_environment("VGPU_SIM_DEVICES", 1), 1, memory::max_devices));
  settings.memory_bytes = std::clamp(from_environment("VGPU_SIM_MEMORY", settings.memory_bytes), least, most);
  return settings;
}

}  // namespace

Simulator& Simulator::get() {
  static Simulator* const instance = new Simulator(read_settings());
  return *instance;
}

Simulator::Simulator(Settings settings) : arena(settings.memory_bytes, settings.devices), settings_(settings) {
  for (const unsigned index : visible_devices(settings.devices, ::getenv("CUDA_VISIBLE_DEVICES"))) {
    auto device = std::make_unique<Device>();
    device->index = index;
    device->primary_handle = next_handle();
    device->default_pool = std::make_shared<MemoryPool>(next_handle(), 0, static_cast<unsigned>(devices.size()));
    device->current_pool = device->default_pool;
    pools.add(device->default_pool->handle, device->default_pool);
    devices.push_back(std::move(device));
  }
}

void Simulator::destroy_context(const std::shared_ptr<Context>& context) {
  contexts.take(reinterpret_cast<const void*>(context->handle()));
  context->close();
  const std::uint64_t id = context->id();
  {
    const std::lock_guard lock(capture_mutex);
    std::erase_if(captures, [&](const auto& capture) { return capture->context_id == id; });
  }
  streams.remove_if([&](const Stream& stream) { return stream.context()->id() == id; });
  events.remove_if([&](const Event& event) { return event.context->id() == id; });
  functions.remove_if([&](const FunctionObject& function) { return function.context_id == id; });
  modules.remove_if([&](const LoadedModule& module) { return module.context()->id() == id; });
  libraries.for_each([&](Library& library) { library.forget(id); });
  // Nobody has a peer that is gone.
  contexts.for_each([&](Context& other) { other.forget_peer(id); });
  arena.release_owned(id);
  for (const memory::HostRange& range : host.remove_owned(id)) {
    if (range.allocated) memory::free_host(range);
  }
}

}  // namespace vgpu::sim::device
