// The shim's transport over a device, against vgpu-guestd on a fake one.
#include <catch2/catch.hpp>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "guestd_fixture.hpp"
#include "shim/client/waiting.hpp"
#include "shim/transport/transport.hpp"

using namespace vgpu;
using test::FakeDevice;
using test::Guestd;

namespace {

/// Serves on a thread while it lives: connect() blocks.
class Serving {
 public:
  explicit Serving(Guestd& guestd)
      : thread_([this, &guestd] {
          while (!stopped_) guestd.turn();
        }) {
    ::setenv("VGPU_SOCKET", guestd.socket().c_str(), 1);
  }
  ~Serving() {
    stopped_ = true;
    thread_.join();
    ::unsetenv("VGPU_SOCKET");
  }

 private:
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

auto connect() { return shim::transport::connect(control::Deadline::after(std::chrono::seconds(2))); }

bool becomes_lost(const shim::transport::Transport& transport) {
  const auto deadline = control::Deadline::after(std::chrono::seconds(5));
  while (!transport.has_lost_worker())
    if (deadline.passed()) return false;
  return true;
}

constexpr uint32_t kPage = VGPU_CHANNEL_PAGES + VGPU_CHANNEL_PAGE_SIZE;  // of channel 1

}  // namespace

TEST_CASE("the shim finds a device behind the socket") {
  FakeDevice device;
  device.set_channel(0, VGPU_CHANNEL_OPENING);
  device.on_command = [&](uint32_t) { device.finish_open(1, FakeDevice::good_reply(16u << 20)); };
  Guestd guestd(device);
  const Serving serving(guestd);
  const auto connected = connect();
  REQUIRE(connected);
  const auto& transport = **connected;
  CHECK_FALSE(transport.has_futex());
  CHECK(transport.window_offset() == 16u << 20);
  CHECK(transport.window_size() == 8u << 20);
  CHECK(transport.window_capacity() == 32u << 20);

  SECTION("its doorbell is a store into the channel's page") {
    CHECK(device.get(kPage + VGPU_PAGE_DOORBELL) == 0);
    transport.ring_doorbell(1);
    CHECK(device.get(kPage + VGPU_PAGE_DOORBELL) != 0);
  }
  SECTION("a worker's end is read from the page") {
    CHECK_FALSE(transport.has_lost_worker());
    device.set_channel(
        1, GENERATE(as<uint32_t>{}, VGPU_CHANNEL_LOST, VGPU_CHANNEL_FREE, VGPU_CHANNEL_CLOSING, 0xffffffff));
    CHECK(becomes_lost(transport));
  }
  SECTION("the same channel in another life of the device is not ours") {
    device.set(VGPU_REG_GENERATION, 2);
    CHECK(becomes_lost(transport));
  }
}

TEST_CASE("what vgpu-guestd refuses is what the program is told") {
  FakeDevice device;
  device.set_link(VGPU_LINK_DOWN, "nobody listens at /tmp/vgpu-mediator.sock");
  Guestd guestd(device);
  const Serving serving(guestd);
  const auto connected = connect();
  REQUIRE_FALSE(connected);
  CHECK_THAT(connected.error().text, Catch::Contains("nobody listens at /tmp/vgpu-mediator.sock"));
}

TEST_CASE("a channel that does not lie in the window is not taken") {
  FakeDevice device;
  Guestd guestd(device);
  // The register says more than BAR1 has: guestd believes it, the shim looks.
  device.set(VGPU_REG_WINDOW_LO, 0);
  device.set(VGPU_REG_WINDOW_HI, 16);
  device.on_command = [&](uint32_t) { device.finish_open(0, FakeDevice::good_reply(60u << 20)); };
  const Serving serving(guestd);
  CHECK_FALSE(connect());
}

TEST_CASE("naps end when what they wait for comes, and when their time is over") {
  const timespec tenth{0, 100'000'000};
  const uint64_t begin = shim::monotonic_ns();
  CHECK_FALSE(shim::nap_until([] { return false; }, tenth));
  CHECK(shim::monotonic_ns() - begin >= 100'000'000);
  int looks = 0;
  CHECK(shim::nap_until([&] { return ++looks == 5; }, tenth));
  // Asleep for most of the time: a tenth of a second is some 200 naps, not a million looks.
  looks = 0;
  CHECK_FALSE(shim::nap_until([&] { return ++looks, false; }, tenth));
  CHECK(looks < 1000);
}
