#include <catch2/catch.hpp>
#include <random>

#include "test_window.hpp"

using vgpu::ring::Next;
using vgpu::ring::Record;

namespace {

constexpr size_t kHeader = sizeof(vgpu_record_header);
constexpr size_t kLargestBody = VGPU_RECORD_MAX - kHeader;

bool append(Ring& ring, uint32_t number, size_t size) {
  vgpu_record_header header{};
  header.op = 7;
  header.sequence = number;
  return ring.producer.try_append(header, body_of(number, size));
}

void expect(Ring& ring, uint32_t number, size_t size) {
  Record record;
  REQUIRE(ring.consumer.next(record) == Next::record);
  CHECK(record.header.sequence == number);
  CHECK(record.header.op == 7);
  const auto body = body_of(number, size);
  CHECK(std::equal(record.body.begin(), record.body.end(), body.begin(), body.end()));
}

}  // namespace

TEST_CASE("a fresh ring is empty") {
  Ring ring;
  Record record;
  CHECK(ring.consumer.next(record) == Next::empty);
  CHECK(ring.consumer.position() == 0);
}

TEST_CASE("a record arrives as it was sent") {
  Ring ring;
  vgpu_record_header header{};
  header.op = 70;
  header.flags = VGPU_RECORD_POSTED;
  header.slot = 3;
  header.sequence = 9;
  header.context = 0x1234567890;
  const uint8_t body[] = {1, 2, 3};
  const uint8_t tail[] = {4, 5};
  REQUIRE(ring.producer.try_append(header, body, tail));
  Record record;
  REQUIRE(ring.consumer.next(record) == Next::record);
  CHECK(record.header.op == 70);
  CHECK(record.header.flags == VGPU_RECORD_POSTED);
  CHECK(record.header.slot == 3);
  CHECK(record.header.sequence == 9);
  CHECK(record.header.context == 0x1234567890);
  CHECK(std::vector<uint8_t>(record.body.begin(), record.body.end()) == std::vector<uint8_t>{1, 2, 3, 4, 5});
  CHECK(ring.producer.position() == 48);
  CHECK(ring.consumer.position() == 48);
  CHECK(ring.consumer.next(record) == Next::empty);
}

TEST_CASE("bodies of every alignment") {
  Ring ring;
  for (uint32_t size = 0; size <= 64; ++size) {
    REQUIRE(append(ring, size, size));
    CHECK(ring.producer.position() % VGPU_RECORD_ALIGN == 0);
    expect(ring, size, size);
  }
}

TEST_CASE("the largest record") {
  Ring ring;
  REQUIRE(append(ring, 1, kLargestBody));
  expect(ring, 1, kLargestBody);
}

TEST_CASE("records keep their order over many turns of the ring") {
  Ring ring;
  std::mt19937 random(1);
  uint32_t sent = 0;
  uint32_t received = 0;
  std::vector<size_t> sizes;
  while (ring.consumer.position() < 6 * uint64_t{VGPU_RING_SIZE}) {
    for (unsigned burst = random() % 40; burst > 0; --burst) {
      const size_t size = random() % 8 == 0 ? random() % kLargestBody : random() % 200;
      if (!append(ring, sent, size)) break;
      sizes.push_back(size);
      ++sent;
    }
    for (unsigned burst = random() % 40; burst > 0 && received < sent; --burst, ++received)
      expect(ring, received, sizes[received]);
  }
}

TEST_CASE("a full ring takes nothing, and goes on where it stopped") {
  Ring ring;
  uint32_t sent = 0;
  while (append(ring, sent, 4000)) ++sent;
  const uint64_t position = ring.producer.position();
  CHECK(position > VGPU_RING_SIZE - 2 * 4096);
  CHECK_FALSE(append(ring, sent, 4000));
  CHECK(ring.producer.position() == position);
  CHECK(ring.tail().load() == position);
  expect(ring, 0, 4000);
  CHECK(append(ring, sent, 4000));
  for (uint32_t number = 1; number <= sent; ++number) expect(ring, number, 4000);
}

TEST_CASE("a ring filled to the last byte") {
  Ring ring;
  const size_t body = 1024 - kHeader;
  for (uint32_t number = 0; number < VGPU_RING_SIZE / 1024; ++number) REQUIRE(append(ring, number, body));
  CHECK_FALSE(append(ring, 0, 0));
  for (uint32_t number = 0; number < VGPU_RING_SIZE / 1024; ++number) expect(ring, number, body);
  Record record;
  CHECK(ring.consumer.next(record) == Next::empty);
}

TEST_CASE("a record that does not fit before the end begins at the start") {
  Ring ring;
  for (unsigned i = 0; i < VGPU_RING_SIZE / 65536 - 1; ++i) {
    REQUIRE(append(ring, i, kLargestBody));
    expect(ring, i, kLargestBody);
  }
  REQUIRE(append(ring, 100, 65536 - 2 * kHeader - 16));  // leaves 48 bytes
  expect(ring, 100, 65536 - 2 * kHeader - 16);
  REQUIRE(append(ring, 101, 17));  // 64 bytes with its header
  CHECK(ring.producer.position() == VGPU_RING_SIZE + 64);
  expect(ring, 101, 17);
}

TEST_CASE("the doorbell is rung only for a worker that sleeps") {
  Ring ring;
  ring.consumer.announce_awake();
  REQUIRE(append(ring, 1, 8));
  CHECK_FALSE(ring.producer.must_ring());
  CHECK_FALSE(ring.consumer.announce_sleep());  // a record is there
  CHECK_FALSE(ring.producer.must_ring());
  expect(ring, 1, 8);
  CHECK(ring.consumer.announce_sleep());
  CHECK(ring.producer.must_ring());
  ring.consumer.announce_awake();
  CHECK_FALSE(ring.producer.must_ring());
}
