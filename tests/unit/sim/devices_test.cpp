#include <catch2/catch.hpp>

#include "worker/sim/device/visible_devices.hpp"
#include "worker/sim/memory/device_arena.hpp"

using namespace vgpu::sim;
using Indices = std::vector<unsigned>;

TEST_CASE("CUDA_VISIBLE_DEVICES chooses and orders devices") {
  const std::string second = "GPU-76677075-2d73-696d-2d30-303030303032";
  CHECK(device::visible_devices(2, nullptr) == Indices{0, 1});
  CHECK(device::visible_devices(2, "1,0") == Indices{1, 0});
  CHECK(device::visible_devices(2, " 1 , 0") == Indices{1, 0});
  CHECK(device::visible_devices(2, (second + ",0").c_str()) == Indices{1, 0});
  CHECK(device::visible_devices(2, "0,7,1") == Indices{0});
  CHECK(device::visible_devices(2, "0,-1") == Indices{0});
  CHECK(device::visible_devices(2, "GPU-7667").empty());  // the beginning of both
  CHECK(device::visible_devices(2, "1,1").empty());
  CHECK(device::visible_devices(2, "").empty());
}

TEST_CASE("each device has memory of its own, and touches what it may") {
  constexpr std::uint64_t kEach = 4u << 20;
  memory::DeviceArena arena(kEach, 2);
  const auto first = arena.allocate(kEach, 1, false, 0);
  CHECK_FALSE(arena.allocate(512, 1, false, 0));
  const auto second = arena.allocate(512, 1, false, 1);
  REQUIRE((first && second));
  CHECK((arena.used(0) == kEach && arena.used(1) == 512));
  arena.set_live(*second, true);
  CHECK(arena.resolve(second->address, 4, {0b10, 0}) != nullptr);
  CHECK(arena.resolve(second->address, 4, {0b01, 0}) == nullptr);
  CHECK(arena.resolve(second->address, 4, {0b01, 0b10}) != nullptr);
  arena.set_access(*second, 0b10);  // as mapped memory: peers do not count
  CHECK(arena.resolve(second->address, 4, {0b01, 0b10}) == nullptr);
  CHECK(arena.access(*second) == 0b10);
  arena.set_live(*second, false);
  CHECK(arena.resolve(second->address, 4) == nullptr);
}
