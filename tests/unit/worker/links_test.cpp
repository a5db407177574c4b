// Links in the making: how many, how much input, and what becomes of them with their context.
#include <catch2/catch.hpp>

#include "worker/objects/links.hpp"

using namespace vgpu::cuda;
using namespace vgpu::worker;

namespace {

unsigned destroyed = 0;

DriverTable driver_table() {
  DriverTable table;
  table.cuLinkDestroy = [](CUlinkState) {
    ++destroyed;
    return CUDA_SUCCESS;
  };
  return table;
}

void add(Links& links, uint64_t number, uint64_t context) {
  auto link = std::make_unique<Link>();
  link->context = context;
  links.add(number, std::move(link));
}

}  // namespace

TEST_CASE("links end with their context") {
  destroyed = 0;
  const DriverTable driver = driver_table();
  Links links(driver);
  add(links, 1, 10), add(links, 2, 20), add(links, 3, 10);
  links.destroy_of(10);
  CHECK(destroyed == 2);
  CHECK(links.find(1) == nullptr);
  CHECK(links.find(2) != nullptr);
  CHECK(links.destroy(3) == CUDA_ERROR_INVALID_HANDLE);
  CHECK(links.destroy(2) == CUDA_SUCCESS);
  CHECK(destroyed == 3);
}

TEST_CASE("links hold so much input together") {
  const DriverTable driver = driver_table();
  Links links(driver);
  add(links, 1, 0), add(links, 2, 0);
  CHECK(links.has_room(kMostLinkInput));
  links.count_input(*links.find(1), kMostLinkInput - 10);
  links.count_input(*links.find(2), 10);
  CHECK_FALSE(links.has_room(1));
  CHECK_FALSE(links.has_room(UINT64_MAX));
  links.destroy(2);
  CHECK(links.has_room(10));
  CHECK_FALSE(links.has_room(11));
}

TEST_CASE("there are so many links at a time") {
  const DriverTable driver = driver_table();
  Links links(driver);
  for (uint64_t number = 1; number < kMostLinks; ++number) add(links, number, 0);
  CHECK_FALSE(links.is_full());
  add(links, kMostLinks, 0);
  CHECK(links.is_full());
}
