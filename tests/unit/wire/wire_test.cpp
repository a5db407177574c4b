#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "common/wire/reader.hpp"
#include "common/wire/writer.hpp"

using vgpu::wire::Bytes;
using vgpu::wire::Reader;
using vgpu::wire::Writer;

TEST_CASE("what was put is taken") {
  uint8_t buffer[64];
  Writer out{std::span<uint8_t>(buffer)};
  out.put<uint32_t>(7);
  out.put<uint64_t>(0x0102030405060708);
  out.put<int32_t>(-3);
  out.put(1.5f);
  out.text("name");
  REQUIRE_FALSE(out.failed());
  CHECK(out.size() == 4 + 8 + 4 + 4 + 4 + 4);
  Reader in(out.written());
  CHECK(in.take<uint32_t>() == 7);
  CHECK(in.take<uint64_t>() == 0x0102030405060708);
  CHECK(in.take<int32_t>() == -3);
  CHECK(in.take<float>() == 1.5f);
  CHECK(in.text(16) == "name");
  CHECK(in.complete());
}

TEST_CASE("numbers are little endian and packed") {
  uint8_t buffer[8];
  Writer out{std::span<uint8_t>(buffer)};
  out.put<uint16_t>(0x0201);
  out.put<uint32_t>(0x06050403);
  CHECK(std::vector<uint8_t>(out.written().begin(), out.written().end()) == std::vector<uint8_t>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("a reader that failed gives zeros for good") {
  const uint8_t bytes[] = {1, 2, 3};
  Reader in{Bytes(bytes)};
  CHECK(in.take<uint32_t>() == 0);
  CHECK(in.failed());
  CHECK(in.take<uint8_t>() == 0);
  CHECK(in.bytes(16).empty());
  CHECK_FALSE(in.complete());
}

TEST_CASE("lengths are checked against the cap and against what is left") {
  uint8_t buffer[32];
  Writer out{std::span<uint8_t>(buffer)};
  out.text("0123456789");
  SECTION("within the cap") { CHECK(Reader(out.written()).text(10) == "0123456789"); }
  SECTION("above the cap") {
    Reader in(out.written());
    CHECK(in.text(9).empty());
    CHECK(in.failed());
  }
  SECTION("more than there is") {
    Reader in(out.written().first(13));
    CHECK(in.bytes(100).empty());
    CHECK(in.failed());
  }
  SECTION("the largest length") {
    const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 1};
    Reader in{Bytes(bytes)};
    CHECK(in.bytes(SIZE_MAX).empty());
    CHECK(in.failed());
  }
}

TEST_CASE("bytes that are left make a message incomplete") {
  const uint8_t bytes[] = {1, 2, 3, 4, 5};
  Reader in{Bytes(bytes)};
  in.take<uint32_t>();
  CHECK_FALSE(in.failed());
  CHECK(in.left() == 1);
  CHECK_FALSE(in.complete());
}

TEST_CASE("a writer writes nothing more once something did not fit") {
  uint8_t buffer[8] = {};
  Writer out{std::span<uint8_t>(buffer)};
  out.put<uint32_t>(1);
  out.put<uint64_t>(2);
  CHECK(out.failed());
  out.put<uint8_t>(3);
  CHECK(out.size() == 4);
  CHECK(buffer[4] == 0);
}

TEST_CASE("empty bytes") {
  uint8_t buffer[4];
  Writer out{std::span<uint8_t>(buffer)};
  out.bytes({});
  CHECK_FALSE(out.failed());
  Reader in(out.written());
  CHECK(in.bytes(0).empty());
  CHECK(in.complete());
}
