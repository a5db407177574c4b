#include "worker/sim/device/copy.hpp"

#include <algorithm>
#include <cstring>

#include "worker/sim/device/context.hpp"
#include "worker/sim/device/simulator.hpp"

namespace vgpu::sim::device {
namespace {

/// The bytes behind an address, or null after failing the context.
std::byte* reach(Context& context, std::uint64_t address, std::uint64_t size) {
  Simulator& sim = Simulator::get();
  if (!sim.arena.contains(address)) return reinterpret_cast<std::byte*>(address);
  std::byte* at = sim.arena.resolve_range(address, size);
  if (at == nullptr)
    context.fail({exec::FaultCode::illegal_address, "a copy or fill touches memory that is not allocated at its time"});
  return at;
}

}  // namespace

Place place_of(std::uint64_t address) {
  Simulator& sim = Simulator::get();
  if (sim.arena.contains(address)) return Place::device;
  return sim.host.find(address) ? Place::pinned : Place::pageable;
}

bool is_refused(std::uint64_t address, std::uint64_t size) {
  Simulator& sim = Simulator::get();
  if (!sim.arena.contains(address)) return sim.host.straddles(address, size);
  return !sim.arena.covers(address, size);
}

Work copy_work(Area to, Area from, std::uint64_t width, std::uint64_t height) {
  return [=](Context& context) {
    for (std::uint64_t row = 0; row < height; ++row) {
      std::byte* target = reach(context, to.address + row * to.pitch, width);
      const std::byte* source = target == nullptr ? nullptr : reach(context, from.address + row * from.pitch, width);
      if (source == nullptr) return;
      std::memmove(target, source, width);
    }
  };
}

Work fill_work(Area to, std::uint32_t value, std::uint32_t element, std::uint64_t width, std::uint64_t height) {
  return [=](Context& context) {
    for (std::uint64_t row = 0; row < height; ++row) {
      std::byte* at = reach(context, to.address + row * to.pitch, width * element);
      if (at == nullptr) return;
      if (element == 1)
        std::memset(at, static_cast<int>(value), width);
      else if (element == 2)
        std::fill_n(reinterpret_cast<std::uint16_t*>(at), width, static_cast<std::uint16_t>(value));
      else
        std::fill_n(reinterpret_cast<std::uint32_t*>(at), width, value);
    }
  };
}

}  // namespace vgpu::sim::device
