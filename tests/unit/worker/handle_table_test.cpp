#include "worker/objects/handle_table.hpp"

#include <catch2/catch.hpp>
#include <string>

using vgpu::wire::Kind;
using vgpu::wire::make_handle;
using Table = vgpu::worker::HandleTable<std::string>;

TEST_CASE("what was bound is found, until it is dropped") {
  Table table(Kind::stream);
  const uint64_t handle = make_handle(Kind::stream, 1, 5);
  CHECK(table.find(handle) == nullptr);
  REQUIRE(table.bind(handle, "five"));
  REQUIRE(table.find(handle) != nullptr);
  CHECK(*table.find(handle) == "five");
  CHECK(table.count() == 1);
  CHECK(table.drop(handle));
  CHECK(table.find(handle) == nullptr);
  CHECK_FALSE(table.drop(handle));
  CHECK(table.count() == 0);
}

TEST_CASE("handles that a guest makes up name nothing") {
  Table table(Kind::stream);
  REQUIRE(table.bind(make_handle(Kind::stream, 1, 5), "five"));
  CHECK(table.find(0) == nullptr);
  CHECK(table.find(~uint64_t{0}) == nullptr);
  CHECK(table.find(make_handle(Kind::event, 1, 5)) == nullptr);
  CHECK(table.find(make_handle(Kind::stream, 2, 5)) == nullptr);
  CHECK(table.find(make_handle(Kind::stream, 1, vgpu::wire::kMaxIndex)) == nullptr);
  CHECK(table.find(make_handle(Kind::stream, 1, 5) | uint64_t{1} << 48) == nullptr);
}

TEST_CASE("only a fresh index and the right kind can be bound") {
  Table table(Kind::stream);
  REQUIRE(table.bind(make_handle(Kind::stream, 1, 5), "five"));
  CHECK_FALSE(table.bind(make_handle(Kind::stream, 1, 5), "again"));
  CHECK_FALSE(table.bind(make_handle(Kind::stream, 2, 5), "another generation of a taken index"));
  CHECK_FALSE(table.bind(make_handle(Kind::event, 1, 6), "another kind"));
  CHECK_FALSE(table.bind(make_handle(Kind::stream, 1, 6) | uint64_t{1} << 48, "no address"));
  CHECK_FALSE(table.bind(0, "nothing"));
  CHECK(*table.find(make_handle(Kind::stream, 1, 5)) == "five");
  CHECK(table.count() == 1);
}

TEST_CASE("an index comes back with another generation") {
  Table table(Kind::stream);
  REQUIRE(table.bind(make_handle(Kind::stream, 1, 5), "old"));
  REQUIRE(table.drop(make_handle(Kind::stream, 1, 5)));
  REQUIRE(table.bind(make_handle(Kind::stream, 2, 5), "new"));
  CHECK(table.find(make_handle(Kind::stream, 1, 5)) == nullptr);
  CHECK(*table.find(make_handle(Kind::stream, 2, 5)) == "new");
}

TEST_CASE("the largest index is usable") {
  Table table(Kind::stream);
  const uint64_t last = make_handle(Kind::stream, vgpu::wire::kMaxGeneration, vgpu::wire::kMaxIndex);
  REQUIRE(table.bind(last, "last"));
  CHECK(*table.find(last) == "last");
}

TEST_CASE("many are dropped at once") {
  Table table(Kind::stream);
  for (uint32_t i = 0; i < 10; ++i) REQUIRE(table.bind(make_handle(Kind::stream, 1, i), i % 2 == 0 ? "even" : "odd"));
  table.drop_if([](uint64_t, const std::string& text) { return text == "odd"; });
  CHECK(table.count() == 5);
  size_t visited = 0;
  table.for_each([&](uint64_t handle, const std::string& text) {
    CHECK(vgpu::wire::index_of(handle) % 2 == 0);
    CHECK(text == "even");
    ++visited;
  });
  CHECK(visited == 5);
}

TEST_CASE("a table takes no index at its limit or beyond") {
  Table table(Kind::stream, 100);
  CHECK(table.bind(make_handle(Kind::stream, 1, 99), "last"));
  CHECK_FALSE(table.bind(make_handle(Kind::stream, 1, 100), "one too many"));
  CHECK(table.is_beyond_limit(make_handle(Kind::stream, 1, 100)));
  CHECK(table.is_beyond_limit(make_handle(Kind::stream, 1, vgpu::wire::kMaxIndex)));
  CHECK_FALSE(table.is_beyond_limit(make_handle(Kind::stream, 1, 99)));
  CHECK_FALSE(table.is_beyond_limit(make_handle(Kind::event, 1, 100)));
}
