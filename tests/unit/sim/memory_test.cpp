// Device memory and host ranges.
#include <catch2/catch.hpp>

#include "worker/sim/memory/device_arena.hpp"
#include "worker/sim/memory/host_ranges.hpp"

using namespace vgpu::sim::memory;

TEST_CASE("device addresses are not where the bytes are") {
  DeviceArena arena(1u << 20);
  REQUIRE(arena.is_open());
  const auto block = arena.allocate(100, 1, false);
  REQUIRE(block);
  CHECK(arena.resolve(block->address, 4) == nullptr);
  arena.set_live(*block, true);
  std::byte* bytes = arena.resolve(block->address, 4);
  REQUIRE(bytes != nullptr);
  CHECK(reinterpret_cast<std::uint64_t>(bytes) != block->address);
  CHECK(bytes[0] == std::byte{0xa5});
  CHECK(arena.resolve(block->address + 96, 4) != nullptr);
  CHECK(arena.resolve(block->address + 97, 4) == nullptr);
  CHECK(arena.resolve_range(block->address + 1, 99) != nullptr);
  CHECK(arena.resolve_range(block->address + 1, 100) == nullptr);
  arena.set_live(*block, false);
  CHECK(arena.resolve(block->address, 4) == nullptr);
  CHECK(arena.release(block->address));
  CHECK_FALSE(arena.release(block->address));
}

TEST_CASE("the arena gives out what it has, and merges what it gets back") {
  DeviceArena arena(1u << 20);
  const auto first = arena.allocate(400u << 10, 1, false), second = arena.allocate(400u << 10, 2, false);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->id != second->id);
  CHECK_FALSE(arena.allocate(400u << 10, 1, false));
  CHECK_FALSE(arena.allocate(0, 1, false));
  arena.release_owned(2);
  CHECK(arena.find(second->address) == std::nullopt);
  CHECK(arena.release(first->address));
  CHECK(arena.used() == 0);
  CHECK(arena.allocate(1u << 20, 1, false));
}

TEST_CASE("host ranges do not overlap, and know what straddles them") {
  HostRanges ranges;
  CHECK(ranges.add({.address = 0x1000, .size = 0x1000}));
  CHECK_FALSE(ranges.add({.address = 0x1800, .size = 0x100}));
  CHECK_FALSE(ranges.add({.address = 0x800, .size = 0x900}));
  CHECK(ranges.add({.address = 0x2000, .size = 0x1000}));
  CHECK(ranges.straddles(0x1800, 0x1000));
  CHECK(ranges.straddles(0x800, 0x1000));
  CHECK_FALSE(ranges.straddles(0x1800, 0x800));
  CHECK_FALSE(ranges.straddles(0x3000, 0x1000));
  CHECK(ranges.find(0x1fff)->address == 0x1000);
  CHECK(ranges.remove(0x1000));
  CHECK_FALSE(ranges.remove(0x1000));
  CHECK_FALSE(ranges.find(0x1fff));
}
