#include "stub/core/vgpu_pci_config.h"

#include <catch2/catch.hpp>
#include <vector>

#include "common/abi/device_registers.h"

namespace {

constexpr std::uint64_t kWindow = UINT64_C(1) << 30;

struct Space {
  vgpu_pci_config config{};
  std::vector<vgpu_pci_place> moves;

  explicit Space(std::uint64_t window = kWindow) {
    const vgpu_pci_identity identity{VGPU_PCI_VENDOR, VGPU_PCI_DEVICE, 0x1af4, 0x1100};
    vgpu_pci_config_init(&config, &identity, window, &moved, this);
  }
  static void moved(void* self, const vgpu_pci_place* place) { static_cast<Space*>(self)->moves.push_back(*place); }
  std::uint32_t read(unsigned offset, unsigned size) const { return vgpu_pci_config_read(&config, offset, size); }
  void write(unsigned offset, std::uint32_t value, unsigned size = 4) {
    vgpu_pci_config_write(&config, offset, value, size);
  }
  std::uint64_t size_of_window() {
    write(0x14, ~0u);
    write(0x18, ~0u);
    return ~((std::uint64_t{read(0x18, 4)} << 32 | read(0x14, 4)) & ~UINT64_C(0xf)) + 1;
  }
};

}  // namespace

TEST_CASE("the configuration space says what the device is") {
  const Space space;
  CHECK(space.read(0x00, 4) == 0x233010de);
  CHECK(space.read(0x08, 4) == 0x12000002);
  CHECK(space.read(0x0e, 1) == 0);  // header type
  CHECK(space.read(0x2c, 4) == 0x11001af4);
  CHECK(space.read(0x34, 1) == 0);  // no capabilities
  CHECK(space.read(0x3d, 1) == 0);  // no interrupt
  CHECK(space.read(0x10, 4) == 0);
  CHECK(space.read(0x14, 4) == 0xc);
}

TEST_CASE("sizing by writing all ones tells the BARs' sizes") {
  Space space;
  space.write(0x10, ~0u);
  CHECK(space.read(0x10, 4) == 0xfff00000);
  CHECK(space.size_of_window() == kWindow);
  for (const unsigned bar : {0x1cu, 0x20u, 0x24u, 0x30u}) {
    space.write(bar, ~0u);
    CHECK(space.read(bar, 4) == 0);
  }
  CHECK(Space(UINT64_C(64) << 20).size_of_window() == UINT64_C(64) << 20);
  CHECK(Space(UINT64_C(512) << 30).size_of_window() == UINT64_C(512) << 30);
}

TEST_CASE("BARs are where the guest puts them while memory is enabled") {
  Space space;
  space.write(0x10, 0xfeb00000);
  space.write(0x14, 0x40000000);
  space.write(0x18, 0x00000038);
  CHECK(space.moves.empty());
  space.write(0x04, 0x0002, 2);
  REQUIRE(space.moves.size() == 1);
  CHECK(space.moves.back().registers == 0xfeb00000);
  CHECK(space.moves.back().window == UINT64_C(0x3840000000));
  space.write(0x04, 0x0006, 2);
  CHECK(space.moves.size() == 1);
  space.write(0x10, 0xfec00000);
  CHECK(space.moves.back().registers == 0xfec00000);
  space.write(0x04, 0x0000, 2);
  CHECK(space.moves.back().registers == 0);
  CHECK(space.moves.back().window == 0);
  CHECK(space.moves.size() == 3);
}

TEST_CASE("a BAR that is being sized, or would not lie in memory whole, is nowhere") {
  Space space;
  space.write(0x04, 0x0002, 2);
  space.write(0x10, ~0u);
  space.write(0x14, ~0u);
  space.write(0x18, ~0u);
  CHECK((space.moves.empty() || space.moves.back().registers == 0));
  CHECK(space.config.place.window == 0);
  space.write(0x10, 0xffe00000);
  CHECK(space.config.place.registers == 0xffe00000);
}

TEST_CASE("writes in bytes build the same address, and read-only bits stay") {
  Space space;
  space.write(0x04, 0x02, 1);
  space.write(0x13, 0xfe, 1);
  space.write(0x12, 0xbf, 1);
  CHECK(space.read(0x10, 4) == 0xfeb00000);
  CHECK(space.config.place.registers == 0xfeb00000);
  space.write(0x00, 0);
  space.write(0x08, 0);
  CHECK(space.read(0x00, 4) == 0x233010de);
  CHECK(space.read(0x08, 4) == 0x12000002);
  space.write(0x3c, 0x0b, 1);
  CHECK(space.read(0x3c, 1) == 0x0b);
}

TEST_CASE("a reset unmaps the BARs") {
  Space space;
  space.write(0x10, 0xfeb00000);
  space.write(0x04, 0x0002, 2);
  vgpu_pci_config_reset(&space.config);
  CHECK(space.moves.back().registers == 0);
  CHECK(space.read(0x10, 4) == 0);
  CHECK(space.read(0x14, 4) == 0xc);
  CHECK(space.read(0x04, 2) == 0);
  CHECK(space.read(0x00, 4) == 0x233010de);
}

TEST_CASE("accesses outside of the space read all ones and change nothing") {
  Space space;
  const auto before = space.config;
  for (const auto& [offset, size] : {std::pair{256u, 1u}, {253u, 4u}, {255u, 2u}, {0u, 3u}, {0u, 8u}, {~0u, 4u}}) {
    CHECK(space.read(offset, size) == ~0u);
    space.write(offset, 0, size);
  }
  CHECK(std::equal(std::begin(before.bytes), std::end(before.bytes), space.config.bytes));
}
