// The page that stubs in the field have: its guests see no difference.
#include <sys/socket.h>

#include "tests/unit/stub/device.hpp"

using namespace vgpu;
using namespace vgpu::stub;

namespace {

void submit(Device& device, std::uint32_t length) {
  for (std::uint32_t at = 0; at < 1024; at += 4) device.write(VGPU_LEGACY_REQUEST + at, 0x04030201u + at);
  device.write(VGPU_LEGACY_REQUEST_LEN, length);
  device.write(VGPU_LEGACY_DOORBELL, 1);
}

vgpu_legacy_response response(std::uint32_t id, std::uint32_t length, std::uint32_t error = 0) {
  vgpu_legacy_response message{};
  message.request_id = id;
  message.length = length;
  message.error = error;
  std::memset(message.payload, 0x77, sizeof message.payload);
  return message;
}

std::uint32_t error_of(Device& device) {
  REQUIRE(device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_ERROR);
  return device.read(VGPU_LEGACY_ERROR_CODE);
}

}  // namespace

TEST_CASE("the legacy page has the field's registers at the field's places") {
  Device device;
  CHECK(device.read(0x004) == 0);
  CHECK(device.read(0x008) == 0x42);
  CHECK(device.read(0x00c) == 2);
  CHECK(device.read(0x010) == 7);
  CHECK(device.read(0x014) == 0);
  CHECK(device.read(0x01c) == 0);
  CHECK(device.read(0x020) == 0x00010000);
  CHECK(device.read(0x024) == 0x101);
  for (const unsigned offset : {0x018u, 0x028u, 0x030u, 0x03cu, 0x040u, 0x43cu}) {
    device.write(offset, 0xcafe0000 + offset);
    CHECK(device.read(offset) == 0xcafe0000 + offset);
  }
  device.write(0x02c, ~0u);
  CHECK(device.read(0x02c) == 0);
  CHECK(device.mistakes() == 0);
}

TEST_CASE("a legacy request reaches the broker as the guest wrote it, and its answer the guest") {
  Device device;
  device.link_up();
  device.write(VGPU_LEGACY_REQUEST_ID, 99);
  submit(device, 36);
  CHECK(device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_BUSY);
  CHECK(device.read(VGPU_LEGACY_DOORBELL) == 1);
  const auto message = device.broker.receive();
  REQUIRE(message);
  REQUIRE(message->header().type == VGPU_LEGACY_REQ);
  const auto request = message->as<vgpu_legacy_request>();
  CHECK(request.length == 36);
  CHECK(request.payload[0] == 1);
  CHECK(request.payload[35] != 0);
  CHECK(request.payload[36] == 0);

  device.front.now += 1234;
  device.broker.send(response(request.request_id, 40), VGPU_LEGACY_RESP);
  device.pump();
  CHECK(device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_DONE);
  CHECK(device.read(VGPU_LEGACY_DOORBELL) == 0);
  CHECK(device.read(VGPU_LEGACY_RESPONSE_LEN) == 40);
  CHECK(device.read(VGPU_LEGACY_RESPONSE + 36) == 0x77777777);
  CHECK(device.read(VGPU_LEGACY_RESPONSE + 40) == 0);
  CHECK(device.read(VGPU_LEGACY_REQUEST_ID) == 99);
  CHECK(device.read(VGPU_LEGACY_TIME_LO) == device.front.now * 1000);
  CHECK(device.read(VGPU_LEGACY_TIME_HI) == 0);
  CHECK(device.mistakes() == 0);
}

TEST_CASE("many legacy requests follow one another on one connection") {
  Device device;
  device.link_up();
  for (int i = 0; i < 100; ++i) {
    submit(device, 1024);
    const auto request = device.broker.receive();
    REQUIRE(request);
    device.broker.send(response(request->as<vgpu_legacy_request>().request_id, 1024), VGPU_LEGACY_RESP);
    device.pump();
    REQUIRE(device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_DONE);
  }
}

TEST_CASE("a legacy request of no length or too much is refused at once") {
  Device device;
  device.link_up();
  submit(device, 0);
  CHECK(error_of(device) == VGPU_LEGACY_INVALID_LENGTH);
  submit(device, 1025);
  CHECK(error_of(device) == VGPU_LEGACY_REQUEST_TOO_LARGE);
  submit(device, ~0u);
  CHECK(error_of(device) == VGPU_LEGACY_REQUEST_TOO_LARGE);
  CHECK_FALSE(device.broker.receive());
}

TEST_CASE("a legacy request without a link ends at once, one in flight when the link ends too") {
  Device device;
  vgpu_core_start(device.core);
  submit(device, 36);
  CHECK(error_of(device) == VGPU_LEGACY_MEDIATOR_UNAVAILABLE);
  device.link_up();
  submit(device, 36);
  CHECK(device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_BUSY);
  device.broker.die();
  device.pump();
  CHECK(error_of(device) == VGPU_LEGACY_MEDIATOR_UNAVAILABLE);
}

TEST_CASE("a legacy request without an answer ends after the deadline, and the late answer is not taken for another") {
  Device device;
  device.link_up();
  submit(device, 36);
  const auto first = device.broker.receive()->as<vgpu_legacy_request>();
  device.pass(VGPU_CORE_LEGACY_TIMEOUT_MS - 1);
  CHECK(device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_BUSY);
  device.pass(1);
  CHECK(error_of(device) == VGPU_LEGACY_TIMEOUT);

  device.broker.send(response(first.request_id, 8), VGPU_LEGACY_RESP);
  device.pump();
  CHECK(error_of(device) == VGPU_LEGACY_TIMEOUT);
  submit(device, 36);
  device.broker.send(response(first.request_id, 8), VGPU_LEGACY_RESP);
  device.pump();
  CHECK(device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_BUSY);
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_UP);
}

TEST_CASE("the legacy deadline can be set") {
  auto config = Device::default_config();
  config.legacy_timeout_ms = 10;
  Device device(config);
  device.link_up();
  submit(device, 36);
  device.pass(10);
  CHECK(error_of(device) == VGPU_LEGACY_TIMEOUT);
}

TEST_CASE("an error of the broker is the guest's error code") {
  Device device;
  device.link_up();
  for (std::uint32_t error = VGPU_LEGACY_INVALID_REQUEST; error <= VGPU_LEGACY_QUARANTINED; ++error) {
    submit(device, 36);
    CHECK(device.read(VGPU_LEGACY_ERROR_CODE) == 0);
    const auto request = device.broker.receive()->as<vgpu_legacy_request>();
    device.broker.send(response(request.request_id, 32, error), VGPU_LEGACY_RESP);
    device.pump();
    CHECK(error_of(device) == error);
    CHECK(device.read(VGPU_LEGACY_RESPONSE_LEN) == 32);
  }
}

TEST_CASE("a legacy request to a broker that refuses the VM ends at once") {
  Device device;
  vgpu_core_start(device.core);
  device.connect();
  auto link = device.good_link();
  link.status = 2;
  device.answer(link);
  REQUIRE(device.read(VGPU_REG_LINK) == VGPU_LINK_REFUSED);
  submit(device, 36);
  CHECK(error_of(device) == VGPU_LEGACY_MEDIATOR_UNAVAILABLE);
}

TEST_CASE("a legacy request is never busy for ever, whatever becomes of the link") {
  Device device;
  device.link_up();
  submit(device, 36);
  SECTION("the guest resets the device") {
    vgpu_core_reset(device.core);
    CHECK(device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_IDLE);
  }
  SECTION("the broker answers other things") {
    device.broker.send(response(12345, 8), VGPU_LEGACY_RESP);
    device.pump();
    CHECK(device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_BUSY);
    device.pass(VGPU_CORE_LEGACY_TIMEOUT_MS);
    CHECK(error_of(device) == VGPU_LEGACY_TIMEOUT);
  }
  SECTION("the broker says no more") {
    device.pass(10 * VGPU_CORE_LEGACY_TIMEOUT_MS);
    CHECK(error_of(device) == VGPU_LEGACY_TIMEOUT);
  }
}

TEST_CASE("a doorbell while busy, or with another value than 1, submits nothing") {
  Device device;
  device.link_up();
  device.write(VGPU_LEGACY_DOORBELL, 2);
  CHECK(device.mistakes() == 1);
  submit(device, 36);
  device.write(VGPU_LEGACY_DOORBELL, 1);
  CHECK(device.mistakes() == 2);
  CHECK(device.broker.receive_all().size() == 1);
}

TEST_CASE("a broker that reads nothing: requests end, the queue is bounded, and a command finds room") {
  Device device;
  device.link_up();
  bool is_full = false;
  for (int i = 0; i < 2000 && !is_full; ++i) {
    submit(device, 36);
    is_full = device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_ERROR;
    if (is_full) CHECK(error_of(device) == VGPU_LEGACY_QUEUE_FULL);
    device.pass(VGPU_CORE_LEGACY_TIMEOUT_MS);
  }
  REQUIRE(is_full);
  device.write(VGPU_REG_ARGUMENT, 4096);
  device.command(VGPU_COMMAND_OPEN);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_BUSY);
  unsigned opens = 0, requests = 0;
  for (int i = 0; i < 10; ++i) {  // reading makes room for what was queued
    for (const auto& message : device.broker.receive_all()) {
      opens += message.header().type == VGPU_OPEN ? 1 : 0;
      requests += message.header().type == VGPU_LEGACY_REQ ? 1 : 0;
    }
    device.pump();
  }
  CHECK(opens == 1);
  CHECK(requests > 1);
}

TEST_CASE("what a slow broker reads in the end is whole and in order") {
  Device device;
  device.link_up();
  const int least = 1;  // so that messages are sent in parts
  REQUIRE(device.front.watched.size() == 1);
  REQUIRE(::setsockopt(device.front.watched.begin()->first, SOL_SOCKET, SO_SNDBUF, &least, sizeof least) == 0);
  std::uint32_t submitted = 0, received = 0;
  const auto read_one = [&] {
    const auto message = device.broker.receive();
    if (!message) return false;
    REQUIRE(message->header().type == VGPU_LEGACY_REQ);
    CHECK(message->as<vgpu_legacy_request>().request_id == ++received);
    return true;
  };
  for (int i = 0; i < 1000; ++i) {
    submit(device, 36);
    if (device.read(VGPU_LEGACY_STATUS) == VGPU_LEGACY_BUSY) ++submitted;
    if (i % 2 == 0 && i > 20) read_one();
    device.pass(VGPU_CORE_LEGACY_TIMEOUT_MS);
  }
  for (int idle = 0; idle < 3; device.pump()) idle = read_one() ? 0 : idle + 1;
  CHECK(submitted > 300);
  CHECK(received == submitted);
}

TEST_CASE("a legacy response longer than its buffer closes the link") {
  Device device;
  device.link_up();
  submit(device, 36);
  device.broker.send(response(1, 1025), VGPU_LEGACY_RESP);
  device.pump();
  CHECK(device.ended_by_nonsense());
  CHECK(error_of(device) == VGPU_LEGACY_MEDIATOR_UNAVAILABLE);
}
