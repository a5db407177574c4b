// What no producer writes: the consumer says broken and stays so, and the producer takes nonsense for a full ring.
#include <catch2/catch.hpp>

#include "test_window.hpp"

using vgpu::ring::Next;
using vgpu::ring::Record;

namespace {

/// Writes a header where the next record is read and announces `announced` bytes.
void forge(Ring& ring, const vgpu_record_header& header, uint64_t announced) {
  const uint64_t at = VGPU_RING_OFFSET + ring.consumer.position() % VGPU_RING_SIZE;
  ring.window.copy_in(at, {reinterpret_cast<const uint8_t*>(&header), sizeof header});
  ring.tail().store(ring.consumer.position() + announced);
}

vgpu_record_header header_of(uint32_t size, uint32_t body, uint16_t op = 7) {
  vgpu_record_header header{};
  header.size = size;
  header.body = body;
  header.op = op;
  return header;
}

void expect_broken(Ring& ring) {
  Record record;
  REQUIRE(ring.consumer.next(record) == Next::broken);
  REQUIRE(ring.consumer.problem() != nullptr);
  // For good, also when the words are mended.
  ring.tail().store(ring.consumer.position());
  CHECK(ring.consumer.next(record) == Next::broken);
}

}  // namespace

TEST_CASE("tails that no producer writes") {
  Ring ring;
  SECTION("misaligned") { ring.tail().store(8); }
  SECTION("more than the ring holds") { ring.tail().store(VGPU_RING_SIZE + VGPU_RECORD_ALIGN); }
  SECTION("the largest number") { ring.tail().store(~uint64_t{0}); }
  SECTION("the largest aligned number") { ring.tail().store(~uint64_t{15}); }
  SECTION("backwards") {
    REQUIRE(ring.producer.try_append(header_of(0, 0), body_of(1, 100)));
    Record record;
    REQUIRE(ring.consumer.next(record) == Next::record);
    ring.tail().store(16);
  }
  expect_broken(ring);
}

TEST_CASE("sizes that no producer writes") {
  Ring ring;
  SECTION("zero") { forge(ring, header_of(0, 0), 64); }
  SECTION("misaligned") { forge(ring, header_of(40, 8), 64); }
  SECTION("larger than what was announced") { forge(ring, header_of(128, 96), 64); }
  SECTION("larger than any record") { forge(ring, header_of(VGPU_RECORD_MAX + 16, 0), VGPU_RECORD_MAX + 16); }
  SECTION("smaller than a header") { forge(ring, header_of(16, 0), 64); }
  SECTION("the largest number") { forge(ring, header_of(0xfffffff0u, 0), 64); }
  SECTION("a body larger than its record") { forge(ring, header_of(64, 33), 64); }
  SECTION("the largest body") { forge(ring, header_of(64, 0xffffffffu), 64); }
  SECTION("padding larger than what was announced") { forge(ring, header_of(4096, 0, VGPU_OP_PAD), 64); }
  SECTION("padding of no size") { forge(ring, header_of(0, 0, VGPU_OP_PAD), 64); }
  expect_broken(ring);
}

TEST_CASE("padding that goes on over the end of the ring") {
  Ring ring;
  REQUIRE(ring.producer.try_append(header_of(0, 0), body_of(1, 100)));
  Record record;
  REQUIRE(ring.consumer.next(record) == Next::record);
  forge(ring, header_of(VGPU_RING_SIZE, 0, VGPU_OP_PAD), VGPU_RING_SIZE);
  expect_broken(ring);
}

TEST_CASE("a ring of nothing but padding ends") {
  Ring ring;
  for (uint64_t at = 0; at < VGPU_RING_SIZE; at += 16) {
    const vgpu_record_header header = header_of(16, 0, VGPU_OP_PAD);
    ring.window.copy_in(VGPU_RING_OFFSET + at, {reinterpret_cast<const uint8_t*>(&header), 16});
  }
  ring.tail().store(VGPU_RING_SIZE);
  Record record;
  CHECK(ring.consumer.next(record) == Next::empty);
  CHECK(ring.consumer.position() == VGPU_RING_SIZE);
}

TEST_CASE("a record that changes after it was taken stays what it was") {
  Ring ring;
  REQUIRE(ring.producer.try_append(header_of(0, 0), body_of(1, 32)));
  Record record;
  REQUIRE(ring.consumer.next(record) == Next::record);
  const std::vector<uint8_t> zeros(64);
  ring.window.copy_in(VGPU_RING_OFFSET, zeros);
  CHECK(std::vector<uint8_t>(record.body.begin(), record.body.end()) == body_of(1, 32));
}

TEST_CASE("heads that no consumer writes count as full") {
  Ring ring;
  while (ring.producer.try_append(header_of(0, 0), body_of(1, 4000))) {
  }
  const uint64_t position = ring.producer.position();
  SECTION("ahead of the tail") { ring.head().store(position + 4096); }
  SECTION("the largest number") { ring.head().store(~uint64_t{0}); }
  CHECK_FALSE(ring.producer.try_append(header_of(0, 0), body_of(1, 4000)));
  CHECK(ring.producer.position() == position);
}
