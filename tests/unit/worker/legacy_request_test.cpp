// Legacy requests taken apart, and responses packed.
#include <catch2/catch.hpp>

#include <cstring>

#include "worker/legacy/request.hpp"

using namespace vgpu::worker::legacy;

namespace {

struct Bytes {
  explicit Bytes(uint32_t opcode, std::vector<uint32_t> parameters = {}, size_t data = 0) {
    call.version = VGPU_LEGACY_VERSION;
    call.opcode = opcode;
    call.parameter_count = static_cast<uint32_t>(parameters.size());
    call.data_offset = static_cast<uint32_t>(sizeof call + parameters.size() * 4);
    call.data_length = static_cast<uint32_t>(data);
    rest.resize(parameters.size() * 4 + data);
    if (!parameters.empty()) std::memcpy(rest.data(), parameters.data(), parameters.size() * 4);
  }
  std::vector<std::byte> all() const {
    std::vector<std::byte> bytes(sizeof call);
    std::memcpy(bytes.data(), &call, sizeof call);
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    return bytes;
  }
  /// 0 if it is a request.
  int error() const {
    const auto bytes = all();
    const auto request = parse_request(bytes);
    return request ? 0 : request.error().code;
  }

  vgpu_legacy_call call{};
  std::vector<std::byte> rest;
};

}  // namespace

TEST_CASE("legacy requests are read") {
  const auto add = parse_request(Bytes(VGPU_LEGACY_ADD, {100, 200}).all());
  REQUIRE(add);
  CHECK(add->opcode == VGPU_LEGACY_ADD);
  CHECK(add->parameters == std::array<uint32_t, 2>{100, 200});
  CHECK(describe(*add) == "100+200");
  CHECK(Bytes(VGPU_LEGACY_NO_OP).error() == 0);
  CHECK(Bytes(VGPU_LEGACY_NO_OP, {1, 2, 3}).error() == 0);
  CHECK(Bytes(VGPU_LEGACY_DEVICE_INFORMATION).error() == 0);
  CHECK(Bytes(VGPU_LEGACY_ADD, {1, 2}, 984).error() == 0);
}

TEST_CASE("a legacy request that is wrong is refused with the code of what is wrong") {
  Bytes bytes(VGPU_LEGACY_ADD, {1, 2}, 8);
  SECTION("version") {
    bytes.call.version = 1;
    CHECK(bytes.error() == VGPU_LEGACY_INVALID_REQUEST);
  }
  SECTION("opcode") {
    for (const uint32_t opcode : {2u, 3u, 4u, 6u, ~0u}) CHECK(Bytes(opcode).error() == VGPU_LEGACY_UNSUPPORTED);
  }
  SECTION("number of parameters") {
    CHECK(Bytes(VGPU_LEGACY_ADD).error() == VGPU_LEGACY_INVALID_REQUEST);
    CHECK(Bytes(VGPU_LEGACY_ADD, {1}).error() == VGPU_LEGACY_INVALID_REQUEST);
    CHECK(Bytes(VGPU_LEGACY_ADD, {1, 2, 3}).error() == VGPU_LEGACY_INVALID_REQUEST);
  }
  SECTION("lengths") {
    CHECK(parse_request({}).error().code == VGPU_LEGACY_INVALID_LENGTH);
    const auto whole = bytes.all();
    for (size_t size = 0; size < whole.size(); ++size)
      CHECK(parse_request(std::span(whole).first(size)).error().code == VGPU_LEGACY_INVALID_LENGTH);
    CHECK(Bytes(VGPU_LEGACY_ADD, {1, 2}, 985).error() == VGPU_LEGACY_REQUEST_TOO_LARGE);
  }
  SECTION("counts and offsets that overflow") {
    bytes.call.parameter_count = 0x40000000;
    CHECK(bytes.error() == VGPU_LEGACY_INVALID_LENGTH);
    bytes.call.parameter_count = 2;
    bytes.call.data_offset = 0xfffffff8;
    CHECK(bytes.error() == VGPU_LEGACY_INVALID_LENGTH);
    bytes.call.data_offset = 36;  // within the parameters
    CHECK(bytes.error() == VGPU_LEGACY_INVALID_LENGTH);
    bytes.call.data_length = 0;
    CHECK(bytes.error() == 0);
  }
}

TEST_CASE("a legacy response has its results behind the header, and its data behind them") {
  const auto bytes = pack({VGPU_LEGACY_OK, {1, 0x12345678}, "name", ""}, 77);
  vgpu_legacy_answer answer;
  REQUIRE(bytes.size() == sizeof answer + 8 + 4);
  std::memcpy(&answer, bytes.data(), sizeof answer);
  CHECK(answer.version == VGPU_LEGACY_VERSION);
  CHECK(answer.status == 0);
  CHECK(answer.result_count == 2);
  CHECK(answer.data_offset == 40);
  CHECK(answer.data_length == 4);
  CHECK(answer.execution_us == 77);
  CHECK(std::memcmp(bytes.data() + 36, "\x78\x56\x34\x12name", 8) == 0);
}

TEST_CASE("a legacy response fits into its buffer, whatever its data") {
  CHECK(pack({VGPU_LEGACY_OK, {1}, std::string(5000, 'x'), ""}, 0).size() == VGPU_LEGACY_BUFFER_SIZE);
  const auto bytes = pack({VGPU_LEGACY_CUDA_ERROR, {}, {}, "why"}, 0);
  vgpu_legacy_answer answer;
  REQUIRE(bytes.size() == sizeof answer);
  std::memcpy(&answer, bytes.data(), sizeof answer);
  CHECK(answer.status == VGPU_LEGACY_CUDA_ERROR);
  CHECK(answer.data_offset == 0);
}
