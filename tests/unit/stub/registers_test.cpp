#include "tests/unit/stub/device.hpp"

using namespace vgpu;
using namespace vgpu::stub;

TEST_CASE("before the link a guest sees who the device is, and that nobody answers") {
  Device device;
  vgpu_core_start(device.core);
  CHECK(device.read(VGPU_REG_MAGIC) == VGPU_DEVICE_MAGIC);
  CHECK(device.read(VGPU_REG_LAYOUT) == VGPU_DEVICE_LAYOUT);
  CHECK(device.read(VGPU_REG_FEATURES) == 0);
  CHECK(device.read(VGPU_REG_LINK) == VGPU_LINK_DOWN);
  CHECK(device.read(VGPU_REG_GENERATION) == 0);
  CHECK(device.read(VGPU_REG_CHANNELS) == 0);
  CHECK(device.read(VGPU_REG_WINDOW_LO) == kWindowSize);
  CHECK(device.read(VGPU_REG_WINDOW_HI) == 0);
  CHECK(device.read(VGPU_REG_STATUS) == VGPU_COMMAND_IDLE);
  CHECK(device.read(VGPU_REG_BROKER_PID) == 0);
  CHECK(device.state(0) == VGPU_CHANNEL_FREE);
  CHECK(device.page_state(127) == VGPU_CHANNEL_FREE);
  CHECK(device.mistakes() == 0);
}

TEST_CASE("a window beyond 4 GiB shows in both words") {
  auto config = Device::default_config();
  config.window_size = UINT64_C(16) << 30;
  Device device(config);
  CHECK(device.read(VGPU_REG_WINDOW_LO) == 0);
  CHECK(device.read(VGPU_REG_WINDOW_HI) == 4);
}

TEST_CASE("the registers of the link say what the broker said") {
  Device device;
  device.link_up();
  CHECK(device.read(VGPU_REG_GENERATION) == 1);
  CHECK(device.read(VGPU_REG_CHANNELS) == VGPU_CHANNEL_MAX);
  CHECK(device.read(VGPU_REG_BROKER_PID) == 4711);
  CHECK(device.link_text() == "red");
}

TEST_CASE("buffers are read and written in aligned pieces of any size, little-endian") {
  Device device;
  vgpu_core_bar0_write(device.core, VGPU_REQUEST_BUFFER + 8, UINT64_C(0x0807060504030201), 8);
  CHECK(device.read(VGPU_REQUEST_BUFFER + 8) == 0x04030201);
  CHECK(vgpu_core_bar0_read(device.core, VGPU_REQUEST_BUFFER + 12, 2) == 0x0605);
  CHECK(vgpu_core_bar0_read(device.core, VGPU_REQUEST_BUFFER + 15, 1) == 0x08);
  vgpu_core_bar0_write(device.core, VGPU_REQUEST_BUFFER + 4095, 0xab, 1);
  CHECK(vgpu_core_bar0_read(device.core, VGPU_REQUEST_BUFFER + 4095, 1) == 0xab);
  CHECK(vgpu_core_bar0_read(device.core, VGPU_REPLY_BUFFER, 1) == 0);
  CHECK(device.mistakes() == 0);
}

TEST_CASE("what breaks a rule reads as zero, changes nothing and is counted") {
  struct Access {
    const char* what;
    bool is_write;
    std::uint64_t offset;
    unsigned size;
  };
  const auto access = GENERATE(
      Access{"unaligned", false, VGPU_REG_MAGIC + 2, 4}, Access{"wrong size of a register", false, VGPU_REG_MAGIC, 2},
      Access{"two registers at once", false, VGPU_REG_MAGIC, 8}, Access{"no size of the bus", false, VGPU_REG_MAGIC, 3},
      Access{"no size at all", false, VGPU_REG_MAGIC, 0}, Access{"beyond the BAR", false, VGPU_BAR0_SIZE, 4},
      Access{"far beyond the BAR", true, UINT64_MAX - 3, 4}, Access{"no register", false, 0x1038, 4},
      Access{"behind the channel table", false, 0x5000, 4}, Access{"write-only command", false, VGPU_REG_COMMAND, 4},
      Access{"write-only doorbell", false, VGPU_CHANNEL_PAGES, 4}, Access{"read-only magic", true, VGPU_REG_MAGIC, 4},
      Access{"read-only status", true, VGPU_REG_STATUS, 4}, Access{"read-only reply", true, VGPU_REPLY_BUFFER, 4},
      Access{"read-only text", true, VGPU_REG_LINK_TEXT, 4}, Access{"read-only table", true, VGPU_CHANNEL_TABLE, 4},
      Access{"read-only page state", true, VGPU_CHANNEL_PAGES + VGPU_PAGE_STATE, 4},
      Access{"doorbell of a channel that is not open", true, VGPU_CHANNEL_PAGES, 4},
      Access{"unaligned in a buffer", false, VGPU_REQUEST_BUFFER + 2, 4},
      Access{"across the end of a buffer", true, VGPU_REPLY_BUFFER - 1, 2},
      Access{"across the end of the legacy buffer", true, VGPU_LEGACY_RESPONSE - 2, 4},
      Access{"across the end of the BAR", true, VGPU_BAR0_SIZE - 4, 8},
      Access{"beside a doorbell", true, VGPU_CHANNEL_PAGES + 4, 4},
      Access{"legacy page, between the buffers' end and the next page", false, 0x840, 4},
      Access{"legacy, read-only", true, VGPU_LEGACY_STATUS, 4},
      Access{"legacy, wrong size", true, VGPU_LEGACY_SCRATCH, 2},
      Access{"legacy response", true, VGPU_LEGACY_RESPONSE, 4});
  Device device;
  INFO(access.what);
  if (access.is_write)
    vgpu_core_bar0_write(device.core, access.offset, ~UINT64_C(0), access.size);
  else
    CHECK(vgpu_core_bar0_read(device.core, access.offset, access.size) == 0);
  CHECK(device.mistakes() == 1);
  CHECK(device.read(VGPU_REG_MISTAKES) == 1);
  CHECK(device.front.count_lines("the guest broke a rule") == 1);
  CHECK(device.read(VGPU_REG_MAGIC) == VGPU_DEVICE_MAGIC);
  CHECK(device.read(VGPU_REPLY_BUFFER) == 0);
}

TEST_CASE("a guest that goes on making mistakes fills no log") {
  Device device;
  for (int i = 0; i < 1000; ++i) device.write(VGPU_REG_MAGIC, 0);
  CHECK(device.front.lines.size() == VGPU_CORE_MISTAKE_LINES);
  CHECK(device.mistakes() == 1000);
  device.front.now += 60000 / VGPU_CORE_MISTAKE_LINES;
  device.write(VGPU_REG_MAGIC, 0);
  device.write(VGPU_REG_MAGIC, 0);
  CHECK(device.front.lines.size() == VGPU_CORE_MISTAKE_LINES + 1);
  CHECK(device.front.count_lines("990 lines before it left out") == 1);
  device.front.now += 3600000;
  device.front.lines.clear();
  for (int i = 0; i < 1000; ++i) device.write(VGPU_REG_MAGIC, 0);
  CHECK(device.front.lines.size() == VGPU_CORE_MISTAKE_LINES);
}

TEST_CASE("a wrong configuration is told with what would be right") {
  struct Wrong {
    void (*change)(vgpu_core_config&);
    const char* told;
  };
  static const std::string long_path(108, 'x');
  const auto wrong =
      GENERATE(Wrong{[](vgpu_core_config& c) { c.socket = nullptr; }, "socket is empty"},
               Wrong{[](vgpu_core_config& c) { c.socket = ""; }, "socket is empty"},
               Wrong{[](vgpu_core_config& c) { c.socket = long_path.c_str(); }, "107 bytes"},
               Wrong{[](vgpu_core_config& c) { c.window_size = 0; }, "power of two from 64 MiB to 512 GiB"},
               Wrong{[](vgpu_core_config& c) { c.window_size = VGPU_CORE_WINDOW_MIN / 2; }, "power of two"},
               Wrong{[](vgpu_core_config& c) { c.window_size = VGPU_CORE_WINDOW_MAX * 2; }, "power of two"},
               Wrong{[](vgpu_core_config& c) { c.window_size = VGPU_CORE_WINDOW_MIN * 3; }, "power of two"},
               Wrong{[](vgpu_core_config& c) { c.pool = 'C'; }, "A or B"},
               Wrong{[](vgpu_core_config& c) { c.priority = 3; }, "low, medium or high"},
               Wrong{[](vgpu_core_config& c) { c.channels = VGPU_CHANNEL_MAX + 1; }, "at most 128"});
  auto config = Device::default_config();
  config.socket = "/nowhere";
  wrong.change(config);
  FakeFront front;
  char error[200] = "";
  CHECK(vgpu_core_new(&config, &FakeFront::functions(), &front, error, sizeof error) == nullptr);
  CHECK_THAT(error, Catch::Contains(wrong.told));
  vgpu_core_free(nullptr);
}
