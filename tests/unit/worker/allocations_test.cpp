#include "worker/objects/allocations.hpp"

#include <catch2/catch.hpp>

using vgpu::worker::Allocations;
using vgpu::worker::Memory;

namespace {
constexpr uint64_t kBase = 0x7f0000000000;
}

TEST_CASE("a range is covered inside, and nowhere else") {
  Allocations all;
  all.add(kBase, {4096, Memory::device, 1, 0});
  CHECK(all.covers(kBase, 4096));
  CHECK(all.covers(kBase + 4095, 1));
  CHECK(all.covers(kBase + 10, 0));
  CHECK_FALSE(all.covers(kBase - 1, 1));
  CHECK_FALSE(all.covers(kBase - 1, 2));
  CHECK_FALSE(all.covers(kBase, 4097));
  CHECK_FALSE(all.covers(kBase + 4096, 1));
  CHECK_FALSE(all.covers(kBase + 1, ~uint64_t{0}));
  CHECK_FALSE(all.covers(~uint64_t{0}, 2));
  CHECK_FALSE(all.covers(0, 0));
}

TEST_CASE("two ranges side by side are not one") {
  Allocations all;
  all.add(kBase, {4096, Memory::device, 1, 0});
  all.add(kBase + 4096, {4096, Memory::device, 1, 0});
  CHECK(all.covers(kBase + 4096, 4096));
  CHECK_FALSE(all.covers(kBase, 4097));
}

TEST_CASE("what counts against a quota, and what is pinned") {
  Allocations all;
  all.add(kBase, {100, Memory::device, 1, 0});
  all.add(kBase + 0x1000, {200, Memory::pool, 1, 0});
  all.add(kBase + 0x2000, {400, Memory::global, 1, 9});
  all.add(kBase + 0x3000, {800, Memory::window, 1, 0});
  CHECK(all.charged() == 300);
  CHECK(all.pinned() == 800);
  CHECK(all.remove(kBase));
  CHECK_FALSE(all.remove(kBase));
  CHECK_FALSE(all.remove(kBase + 0x1001));
  CHECK(all.charged() == 200);
  all.charge(0, 50);
  CHECK(all.charged() == 250);
  all.discharge(0, 50);
  all.remove_if([](uint64_t, const Allocations::Range& range) { return range.context == 1; });
  CHECK(all.charged() == 0);
  CHECK(all.pinned() == 0);
  CHECK(all.at(kBase + 0x1000) == nullptr);
}

TEST_CASE("ranges go with their owner") {
  Allocations all;
  all.add(kBase, {64, Memory::global, 1, 7});
  all.add(kBase + 0x100, {64, Memory::global, 1, 8});
  all.remove_if([](uint64_t, const Allocations::Range& range) { return range.owner == 7; });
  CHECK(all.at(kBase) == nullptr);
  REQUIRE(all.at(kBase + 0x100) != nullptr);
  CHECK(all.at(kBase + 0x100)->owner == 8);
}

TEST_CASE("an address that is given out again replaces what stood there") {
  Allocations all;
  all.add(kBase, {64, Memory::device, 1, 0});
  all.add(kBase, {128, Memory::device, 2, 0});
  REQUIRE(all.at(kBase) != nullptr);
  CHECK(all.at(kBase)->size == 128);
  CHECK(all.charged() == 128);
  CHECK(all.remove(kBase));
  CHECK(all.charged() == 0);
}

TEST_CASE("ranges overlap by any byte") {
  Allocations all;
  all.add(kBase, {4096, Memory::window, 1, 0});
  CHECK(all.overlaps(kBase, 1));
  CHECK(all.overlaps(kBase + 4095, 1));
  CHECK(all.overlaps(kBase - 1, 2));
  CHECK(all.overlaps(kBase - 4096, 16384));
  CHECK_FALSE(all.overlaps(kBase - 4096, 4096));
  CHECK_FALSE(all.overlaps(kBase + 4096, 4096));
  CHECK_FALSE(all.overlaps(kBase, 0));
}

TEST_CASE("mappings side by side in one reservation are one range") {
  Allocations all;
  all.add(kBase, {4096, Memory::mapped, 0, kBase});
  all.add(kBase + 4096, {4096, Memory::mapped, 0, kBase});
  all.add(kBase + 8192, {4096, Memory::mapped, 0, kBase + 8192});
  CHECK(all.covers(kBase + 100, 8092));
  CHECK_FALSE(all.covers(kBase + 100, 8093));
  CHECK_FALSE(all.covers(kBase + 4096, 8192));
  CHECK_FALSE(all.covers(kBase, ~uint64_t{0}));
}

TEST_CASE("graphs allocate at one address at different times") {
  Allocations all;
  all.add(kBase, {8192, Memory::graph, 1, 7});
  all.add(kBase, {4096, Memory::graph, 1, 8});
  CHECK(all.covers(kBase, 8192));
  CHECK(all.graph_ranges() == 1);
  CHECK(all.charged() == 8192);
  all.add(kBase + 1024, {512, Memory::graph, 1, 7});
  CHECK(all.covers(kBase + 1100, 4096));  // of the outer one
  CHECK_FALSE(all.covers(kBase + 1100, 8192));
  CHECK(all.remove(kBase));
  CHECK_FALSE(all.covers(kBase + 1100, 4096));
  CHECK(all.graph_ranges() == 1);
}

TEST_CASE("ordinary memory behind that of a graph is looked at alone") {
  Allocations all;
  all.add(kBase, {8192, Memory::graph, 1, 7});
  all.add(kBase + 4096, {512, Memory::device, 1, 0});
  CHECK(all.covers(kBase + 4096, 512));
  CHECK_FALSE(all.covers(kBase + 4096, 513));
}
