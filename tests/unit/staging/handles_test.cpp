#include "shim/client/handles.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <thread>
#include <vector>

using vgpu::shim::HandleAllocator;
namespace wire = vgpu::wire;

TEST_CASE("an index comes back with another generation") {
  HandleAllocator handles(wire::Kind::stream);
  const uint64_t first = handles.make();
  handles.discard(first);
  const uint64_t second = handles.make();
  CHECK(wire::kind_of(first) == wire::Kind::stream);
  CHECK(wire::index_of(first) == wire::index_of(second));
  CHECK(first != second);
}

TEST_CASE("stale and foreign handles are not given back") {
  HandleAllocator handles(wire::Kind::event);
  const uint64_t first = handles.make();
  handles.discard(first);
  handles.discard(first);  // twice
  handles.discard(0);
  handles.discard(wire::make_handle(wire::Kind::stream, 1, 0));
  handles.discard(wire::make_handle(wire::Kind::event, 1, 77));  // never made
  const uint64_t second = handles.make();
  const uint64_t third = handles.make();
  CHECK(wire::index_of(second) != wire::index_of(third));
}

TEST_CASE("all indices in use") {
  HandleAllocator handles(wire::Kind::graph);
  uint64_t last = 0;
  for (uint32_t i = 0; i <= wire::kMaxIndex; ++i) last = handles.make();
  CHECK(last != 0);
  CHECK(handles.make() == 0);
  handles.discard(last);
  CHECK(handles.make() != 0);
}

TEST_CASE("threads never get the same handle") {
  HandleAllocator handles(wire::Kind::event);
  std::vector<std::vector<uint64_t>> made(4);
  std::vector<std::thread> threads;
  for (auto& mine : made)
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        mine.push_back(handles.make());
        if (i % 3 == 0) handles.discard(mine.back());
      }
    });
  for (auto& thread : threads) thread.join();
  std::set<uint64_t> all;
  for (const auto& mine : made) all.insert(mine.begin(), mine.end());
  CHECK(all.size() == 8000);
}
