#include "common/shm/segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch.hpp>

using namespace vgpu::shm;

TEST_CASE("both sides see each other's words") {
  auto broker = GrantWriter::create(12, 1000);
  REQUIRE(broker);
  auto worker = GrantReader::map(broker->descriptor());
  REQUIRE(worker);
  CHECK(worker->client() == 12);
  CHECK(worker->is_open());
  broker->set_open(false);
  CHECK_FALSE(worker->is_open());
  worker->publish({1, 2, 3, 4});
  CHECK(broker->usage().records == 1);
  CHECK(broker->usage().pinned_bytes == 4);
}

TEST_CASE("a worker says what its client holds on each device") {
  auto broker = GrantWriter::create(1, 0);
  auto worker = GrantReader::map(broker->descriptor());
  CHECK(broker->devices().empty());
  DeviceUse first, second;
  first.name = "one";
  second.name = std::string(200, 'x');
  second.uuid[15] = 7;
  second.pci_bus = 0x19;
  worker->publish_devices({first, second});
  worker->publish_device(1, 2, 4096);
  worker->publish_device(kMostDevices, 1, 1);  // there is no such place: nothing happens
  const auto devices = broker->devices();
  REQUIRE(devices.size() == 2);
  CHECK(devices[0].name == "one");
  CHECK(devices[0].requested_bytes == 0);
  CHECK(devices[1].name.size() < sizeof DeviceWords::name);
  CHECK((devices[1].uuid[15] == 7 && devices[1].pci_bus == 0x19));
  CHECK((devices[1].contexts == 2 && devices[1].requested_bytes == 4096));
}

TEST_CASE("a heartbeat that is too old is stale, one from the future is not") {
  auto broker = GrantWriter::create(1, 1000);
  auto worker = GrantReader::map(broker->descriptor());
  CHECK_FALSE(worker->is_stale(500));
  CHECK_FALSE(worker->is_stale(1000 + kStaleHeartbeatMs));
  CHECK(worker->is_stale(1001 + kStaleHeartbeatMs));
  broker->beat(9000);
  CHECK_FALSE(worker->is_stale(1001 + kStaleHeartbeatMs));
}

TEST_CASE("a worker cannot take the broker's memory away") {
  auto broker = GrantWriter::create(1, 0);
  CHECK(ftruncate(broker->descriptor(), 0) == -1);
  CHECK((fcntl(broker->descriptor(), F_GET_SEALS) & F_SEAL_SHRINK) != 0);
}

TEST_CASE("what is no segment of ours is refused") {
  const vgpu::base::UniqueFd small(memfd_create("x", MFD_CLOEXEC));
  CHECK_FALSE(GrantReader::map(small.get()));
  REQUIRE(ftruncate(small.get(), sizeof(GrantSegment)) == 0);
  CHECK_FALSE(GrantReader::map(small.get()));
  CHECK_FALSE(GrantReader::map(-1));
}
