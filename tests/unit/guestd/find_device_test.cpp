// Which device is taken, and what is said about those that are not.
#include <catch2/catch.hpp>

#include "fake_device.hpp"

using namespace vgpu;
using test::FakeFunction;

namespace {

std::string error_of(const test::TemporaryFolder& root, const std::string& address = "") {
  const auto device = guestd::open_device(root.path, address);
  return device ? "" : device.error().text;
}

}  // namespace

TEST_CASE("the device is known by its magic, whatever its vendor, and is enabled") {
  const test::TemporaryFolder root;
  FakeFunction{.address = "0000:00:03.0", .vendor = 0x1af4, .device = 0x1041, .device_class = 0x0200}.write(root.path);
  FakeFunction{.address = "0000:00:04.0", .magic = 0}.write(root.path);
  FakeFunction{.address = "0000:00:06.0", .vendor = 0x1234, .device = 0x0001}.write(root.path);
  auto device = guestd::open_device(root.path, "");
  REQUIRE(device);
  CHECK(device->function().address == "0000:00:06.0");
  CHECK(test::read_text(root / "0000:00:06.0/enable").substr(0, 1) == "1");
  CHECK(test::read_text(root / "0000:00:03.0/enable") == "0\n");
}

TEST_CASE("a real GPU of the same number is left alone") {
  const test::TemporaryFolder root;
  FakeFunction{.device_class = 0x0302, .bar0_size = 16u << 20}.write(root.path);
  CHECK_THAT(error_of(root), Catch::Contains("no vGPU device"));
  CHECK(test::read_text(root / "0000:00:05.0/enable") == "0\n");
}

TEST_CASE("what is no device, or an older one, is told with what to do") {
  const test::TemporaryFolder root;
  CHECK_THAT(error_of(root), Catch::Contains("-device vgpu-stub"));
  FakeFunction function;
  const auto said = [&](const FakeFunction& changed) {
    changed.write(root.path);
    return error_of(root);
  };
  CHECK_THAT(said({.revision = 1}), Catch::Contains("revision 0x01") && Catch::Contains("install"));
  CHECK_THAT(said({.bar0_size = 4096}), Catch::Contains("legacy requests only"));
  CHECK_THAT(said({.magic = 0x1234}), Catch::Contains("no vgpu-stub"));
  CHECK_THAT(said({.magic = 0xffffffff}), Catch::Contains("does not answer"));
  CHECK_THAT(said({.layout = 9}), Catch::Contains("layout 9"));
  CHECK(said({}).empty());
}

TEST_CASE("a function knows the driver that is bound to it, and how to unbind it") {
  const test::TemporaryFolder root;
  FakeFunction{}.write(root.path);
  CHECK(guestd::find_function(root.path, "0000:00:05.0")->driver.empty());
  std::filesystem::create_symlink("../../bus/pci/drivers/a driver", root / "0000:00:05.0/driver");
  const auto function = *guestd::find_function(root.path, "0000:00:05.0");
  CHECK(function.driver == "a driver");
  CHECK(guestd::unbind_command(function) == "echo 0000:00:05.0 >" + (root / "0000:00:05.0/driver/unbind"));
}

TEST_CASE("a device that is named must be there") {
  const test::TemporaryFolder root;
  FakeFunction{}.write(root.path);
  CHECK(error_of(root, "0000:00:05.0").empty());
  CHECK_THAT(error_of(root, "0000:00:07.0"), Catch::Contains("no PCI function 0000:00:07.0"));
  CHECK_THAT(error_of(root, "../0000:00:05.0"), Catch::Contains("no PCI function"));
}

TEST_CASE("two daemons cannot serve one device") {
  const test::TemporaryFolder root;
  FakeFunction{}.write(root.path);
  const auto device = guestd::open_device(root.path, "");
  REQUIRE(device);
  const auto first = guestd::lock_device(device->function());
  REQUIRE(first);
  const auto second = guestd::lock_device(device->function());
  REQUIRE_FALSE(second);
  CHECK_THAT(second.error().text, Catch::Contains("another vgpu-guestd"));
}
