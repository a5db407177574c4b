#include "common/base/range_allocator.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

using vgpu::base::RangeAllocator;

TEST_CASE("ranges are given out from the lowest place") {
  RangeAllocator ranges(0x1000, 0x4000, 0x1000);
  CHECK(ranges.allocate(0x1000, 0) == 0x1000);
  CHECK(ranges.allocate(1, 0) == 0x2000);
  CHECK(ranges.allocate(0x2000, 0) == 0x3000);
  CHECK(ranges.allocate(1, 0) == RangeAllocator::kNone);
  CHECK(ranges.release(0x2000) == 0x1000);
  CHECK(ranges.allocate(0x1000, 0) == 0x2000);
}

TEST_CASE("neighbours merge whatever the order they come back in") {
  for (const auto& order : {std::vector<uint64_t>{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}}) {
    RangeAllocator ranges(0, 0x3000, 0x1000);
    for (int i = 0; i < 3; ++i) ranges.allocate(0x1000, 0);
    for (const uint64_t index : order) CHECK(ranges.release(index * 0x1000) == 0x1000);
    CHECK(ranges.is_empty());
    CHECK(ranges.allocate(0x3000, 0) == 0);
  }
}

TEST_CASE("alignment leaves a gap that stays usable") {
  RangeAllocator ranges(0x1000, 0x10000, 0x1000);
  CHECK(ranges.allocate(0x1000, 0x8000) == 0x8000);
  CHECK(ranges.allocate(0x7000, 0) == 0x1000);
}

TEST_CASE("what makes no sense is refused") {
  RangeAllocator ranges(0x1000, 0x4000, 0x1000);
  CHECK(ranges.allocate(0, 0) == RangeAllocator::kNone);
  CHECK(ranges.allocate(~uint64_t{0}, 0) == RangeAllocator::kNone);
  CHECK(ranges.allocate(0x5000, 0) == RangeAllocator::kNone);
  CHECK(ranges.release(0x1000) == 0);
  CHECK(ranges.size_at(0x1000) == 0);
  RangeAllocator none(0x1000, 0xfff, 0x1000);
  CHECK(none.allocate(1, 0) == RangeAllocator::kNone);
}

TEST_CASE("ranges in use never overlap") {
  RangeAllocator ranges(0, 1 << 20, 512);
  std::mt19937 random(7);
  struct Piece {
    uint64_t at, size;
  };
  std::vector<Piece> pieces;
  std::vector<bool> used(2048);
  for (int i = 0; i < 20'000; ++i) {
    if (!pieces.empty() && random() % 2 == 0) {
      const size_t index = random() % pieces.size();
      const Piece piece = pieces[index];
      pieces[index] = pieces.back();
      pieces.pop_back();
      REQUIRE(ranges.release(piece.at) == piece.size);
      for (uint64_t unit = piece.at / 512; unit < (piece.at + piece.size) / 512; ++unit) used[unit] = false;
      continue;
    }
    const uint64_t alignment = uint64_t{512} << random() % 6;
    const uint64_t at = ranges.allocate(random() % 40'000 + 1, alignment);
    if (at == RangeAllocator::kNone) continue;
    const uint64_t size = ranges.size_at(at);
    REQUIRE(at % alignment == 0);
    for (uint64_t unit = at / 512; unit < (at + size) / 512; ++unit) {
      REQUIRE_FALSE(used[unit]);
      used[unit] = true;
    }
    pieces.push_back({at, size});
  }
  for (const Piece& piece : pieces) ranges.release(piece.at);
  CHECK(ranges.allocate(1 << 20, 0) == 0);
}

TEST_CASE("a given range is taken only as a whole and only if it is free") {
  RangeAllocator ranges(0, 0x8000, 0x1000);
  CHECK(ranges.claim(0x2000, 0x2000));
  CHECK_FALSE(ranges.claim(0x3000, 0x2000));
  CHECK_FALSE(ranges.claim(0x7000, 0x2000));
  CHECK_FALSE(ranges.claim(0x4800, 0x1000));
  CHECK_FALSE(ranges.claim(0x4000, 0));
  CHECK(ranges.size_at(0x2000) == 0x2000);
  CHECK(ranges.allocate(0x3000, 0) == 0x4000);
  CHECK(ranges.release(0x2000) == 0x2000);
  CHECK(ranges.claim(0, 0x4000));
}

TEST_CASE("it grows at its end, and shrinks where nothing is in use") {
  RangeAllocator ranges(0x1000, 0x2000, 0x1000);
  CHECK(ranges.allocate(0x4000, 0) == RangeAllocator::kNone);
  ranges.extend(0x3000, 0x2000);
  CHECK(ranges.allocate(0x4000, 0) == 0x1000);
  CHECK_FALSE(ranges.shrink(0x3000, 0x5000));
  ranges.release(0x1000);
  CHECK(ranges.shrink(0x3000, 0x5000));
  CHECK(ranges.allocate(0x3000, 0) == RangeAllocator::kNone);
  CHECK(ranges.allocate(0x2000, 0) == 0x1000);
}
