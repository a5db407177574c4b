// Both ends at work at once; ThreadSanitizer watches in its preset.
#include <catch2/catch.hpp>
#include <thread>

#include "test_window.hpp"

using vgpu::ring::Next;
using vgpu::ring::Record;

namespace {
constexpr uint32_t kRecords = 100'000;
size_t size_of(uint32_t number) { return number % 997 == 0 ? 30'000 : number * 7 % 300; }
}  // namespace

TEST_CASE("a producer and a consumer at once") {
  Ring ring;
  std::thread producer([&] {
    for (uint32_t number = 0; number < kRecords; ++number) {
      vgpu_record_header header{};
      header.op = 1;
      header.sequence = number;
      const auto body = body_of(number, size_of(number));
      while (!ring.producer.try_append(header, body)) std::this_thread::yield();
    }
  });
  bool right = true;
  Record record;
  for (uint32_t number = 0; number < kRecords && right;) {
    const Next next = ring.consumer.next(record);
    if (next == Next::empty) {
      std::this_thread::yield();
      continue;
    }
    const auto body = body_of(number, size_of(number));
    right = next == Next::record && record.header.sequence == number &&
            std::equal(record.body.begin(), record.body.end(), body.begin(), body.end());
    ++number;
  }
  if (!right) ring.head().store(ring.tail().load());
  producer.join();
  CHECK(right);
  CHECK(ring.consumer.position() == ring.producer.position());
}
