// Reserved addresses, physical memory and mappings: counted as the driver counts them.
#include "worker/objects/virtual_memory.hpp"

#include <catch2/catch.hpp>

using namespace vgpu::worker;
namespace wire = vgpu::wire;

namespace {

constexpr uint64_t kBase = 0x740000000000, kPiece = 2 << 20;

uint64_t handle(uint32_t index) { return wire::make_handle(wire::Kind::memory, 1, index); }

}  // namespace

TEST_CASE("a reservation is given back as it was taken, and empty") {
  VirtualMemory memory;
  memory.reserve(kBase, 4 * kPiece);
  CHECK(memory.is_free(kBase, 4 * kPiece));
  CHECK_FALSE(memory.is_free(kBase, kPiece));
  CHECK_FALSE(memory.is_free(kBase + kPiece, 3 * kPiece));
  memory.make(handle(1), 77, kPiece, 0);
  memory.map(kBase + 3 * kPiece, {kPiece, handle(1), kBase});
  CHECK_FALSE(memory.is_free(kBase, 4 * kPiece));
  memory.unmap(kBase + 3 * kPiece);
  CHECK(memory.is_free(kBase, 4 * kPiece));
}

TEST_CASE("a range lies in one reservation or in none") {
  VirtualMemory memory;
  memory.reserve(kBase, 2 * kPiece);
  memory.reserve(kBase + 2 * kPiece, kPiece);
  CHECK(memory.reservation_of(kBase + kPiece, kPiece) == kBase);
  CHECK(memory.reservation_of(kBase + 2 * kPiece, kPiece) == kBase + 2 * kPiece);
  CHECK(memory.reservation_of(kBase + kPiece, 2 * kPiece) == 0);
  CHECK(memory.reservation_of(kBase - 1, 1) == 0);
  CHECK(memory.reservation_of(kBase, ~uint64_t{0}) == 0);
}

TEST_CASE("physical memory goes with its last reference and its last mapping") {
  VirtualMemory memory;
  memory.reserve(kBase, 4 * kPiece);
  memory.make(handle(1), 77, kPiece, 0);
  memory.map(kBase, {kPiece, handle(1), kBase});
  memory.let_go(handle(1));
  REQUIRE(memory.memories().find(handle(1)) != nullptr);
  CHECK(memory.memories().find(handle(1))->references == 0);
  CHECK(memory.charged() == kPiece);
  memory.unmap(kBase);
  CHECK(memory.memories().find(handle(1)) == nullptr);
  CHECK(memory.charged() == 0);
  memory.let_go(handle(1));  // nothing happens
  CHECK(memory.charged() == 0);
}

TEST_CASE("only whole mappings are unmapped together, gaps or not") {
  VirtualMemory memory;
  memory.reserve(kBase, 8 * kPiece);
  memory.make(handle(1), 77, kPiece, 0);
  memory.make(handle(2), 78, 2 * kPiece, 0);
  memory.map(kBase, {kPiece, handle(1), kBase});
  memory.map(kBase + kPiece, {2 * kPiece, handle(2), kBase});
  memory.map(kBase + 4 * kPiece, {kPiece, handle(1), kBase});
  CHECK(memory.mappings_in(kBase, 3 * kPiece).value().size() == 2);
  CHECK(memory.mappings_in(kBase, kPiece).value().size() == 1);
  CHECK(memory.mappings_in(kBase, 8 * kPiece).value().size() == 3);
  CHECK(memory.mappings_in(kBase + 3 * kPiece, kPiece).value().empty());
  CHECK_FALSE(memory.mappings_in(kBase, 2 * kPiece));
  CHECK_FALSE(memory.mappings_in(kBase + 4096, kPiece));
  CHECK_FALSE(memory.mappings_in(kBase + 2 * kPiece, 3 * kPiece));
  REQUIRE(memory.mapping_of(kBase + 3 * kPiece - 1) != nullptr);
  CHECK(memory.mapping_of(kBase + 3 * kPiece - 1)->memory == handle(2));
  CHECK(memory.mapping_of(kBase + 3 * kPiece) == nullptr);
}
