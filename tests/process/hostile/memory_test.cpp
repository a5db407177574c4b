// Offsets, lengths and products that lie, and images that do.
#include <catch2/catch.hpp>
#include <cstring>

#include "common/api/cuda_types.hpp"
#include "tests/process/hostile/stage.hpp"

using namespace vgpu;
using namespace vgpu::cuda;
using namespace vgpu::test;
namespace ops = api::ops;
using wire::Kind;
using wire::make_handle;

namespace {

constexpr uint64_t kHeap = VGPU_HEAP_OFFSET;
constexpr uint64_t kExtent = VGPU_EXTENT_ALIGN;
constexpr uint64_t kWindow = 256ull << 20;
constexpr uint64_t kLegacy = 1;
constexpr uint64_t kMost = ~uint64_t{0};
constexpr uint64_t kSize = 1 << 20;

/// A client with device memory of kSize and one open extent.
struct Owner {
  explicit Owner(Stage& stage) : client(stage.client()) {
    const auto answer = client->call(ops::MemoryAlloc{kSize});
    REQUIRE((answer && answer->result == 0));
    memory = answer->as<ops::MemoryAllocReply>().address;
    REQUIRE(client->result_of(ops::ExtentOpen{kHeap, kExtent}) == 0);
  }
  std::unique_ptr<RawClient> client;
  uint64_t memory = 0;
};

}  // namespace

TEST_CASE("copies that leave the heap cut the client off", "[memory]") {
  Stage stage;
  Owner owner(stage);
  RawClient& client = *owner.client;
  SECTION("over the control page") { client.call(ops::CopyToHostWait{0, owner.memory, 64, {kLegacy}}); }
  SECTION("over the ring") { client.call(ops::CopyToHostWait{VGPU_RING_OFFSET, owner.memory, 64, {kLegacy}}); }
  SECTION("up to the heap") { client.call(ops::CopyToDeviceWait{owner.memory, kHeap - 1, 2, {kLegacy}}); }
  SECTION("past the window") { client.call(ops::CopyToDeviceWait{owner.memory, kWindow - 1, 2, {kLegacy}}); }
  SECTION("beyond it") { client.call(ops::CopyToDeviceWait{owner.memory, kWindow + 1, 0, {kLegacy}}); }
  SECTION("wrapped") { client.call(ops::CopyToDeviceWait{owner.memory, kHeap, kMost - kHeap + 2, {kLegacy}}); }
  SECTION("at the largest offset") { client.call(ops::CopyToDeviceWait{owner.memory, kMost, 1, {kLegacy}}); }
  SECTION("in the window") { client.call(ops::CopyInWindow{kHeap, kWindow - 8, 16, {kLegacy}}); }
  SECTION("in two dimensions") { client.call(ops::Copy2d{kHeap, 1, kSize, owner.memory, 0, 64, 64, 4096, {kLegacy}}); }
  SECTION("a mark outside the heap") { client.call(ops::StagingMark{64, 1, {kLegacy}}); }
  SECTION("a mark at the window's end") { client.call(ops::StagingMark{kWindow - 2, 1, {kLegacy}}); }
  SECTION("a mark at the largest offset") { client.call(ops::StagingMark{kMost - 3, 1, {kLegacy}}); }
  SECTION("a mark between words") { client.call(ops::StagingMark{kHeap + 2, 1, {kLegacy}}); }
  SECTION("an inline copy larger than a slot") { client.call(ops::CopyToHostInlineWait{owner.memory, 881, {kLegacy}}); }
  stage.check_cut_off(client);
}

TEST_CASE("copies and fills outside what the client owns are invalid", "[memory]") {
  Stage stage;
  {
    Owner owner(stage);
    RawClient& client = *owner.client;
    const uint64_t m = owner.memory, base = client.window().base();
    const auto refused = [&](const auto& op) { CHECK(client.result_of(op) == CUDA_ERROR_INVALID_VALUE); };
    // Window memory that no extent covers, and extents that end too early.
    refused(ops::CopyToDeviceWait{m, kHeap + kExtent, 64, {kLegacy}});
    refused(ops::CopyToDeviceWait{m, kHeap + kExtent - 8, 64, {kLegacy}});
    refused(ops::CopyInWindow{kHeap, kHeap + kExtent, 64, {kLegacy}});
    // Device addresses.
    for (const uint64_t bad :
         {uint64_t{0}, uint64_t{1}, kMost, m - 1, m + kSize, base, base + kHeap - 1, uint64_t{1} << 47}) {
      refused(ops::CopyToDeviceWait{bad, kHeap, 64, {kLegacy}});
      refused(ops::CopyToHostWait{kHeap, bad, 64, {kLegacy}});
      refused(ops::CopyOnDeviceSync{m, bad, 64, {kLegacy}});
      refused(ops::CopyOnDeviceSync{bad, m, 64, {kLegacy}});
      refused(ops::CopyToHostInlineWait{bad, 64, {kLegacy}});
      refused(ops::FillSync{bad, 0, 1, 1, 64, 1, {kLegacy}});
      refused(ops::Copy2d{bad, 0, 64, m, 0, 64, 64, 4, {kLegacy}});
    }
    refused(ops::CopyOnDeviceSync{m, m + 8, kSize, {kLegacy}});
    refused(ops::CopyOnDeviceSync{m + 8, m, kMost, {kLegacy}});
    // Products that are too large, or wrap.
    refused(ops::FillSync{m, 0, 1, 4, kSize / 4 + 1, 1, {kLegacy}});
    refused(ops::FillSync{m, 0, 1, 4, (uint64_t{1} << 62) + 1, 1, {kLegacy}});
    refused(ops::FillSync{m, kSize, 1, 1, 64, 2, {kLegacy}});
    refused(ops::FillSync{m, 16, 1, 1, 64, 1000, {kLegacy}});
    refused(ops::FillSync{m, uint64_t{1} << 32, 1, 1, 64, (uint64_t{1} << 32) + 1, {kLegacy}});
    refused(ops::FillSync{m, 64, 1, 1, 64, kMost, {kLegacy}});
    refused(ops::FillSync{m, 64, 1, 3, 64, 1, {kLegacy}});
    refused(ops::Copy2d{m, 0, uint64_t{1} << 63, m, 0, 64, 64, 3, {kLegacy}});
    refused(ops::Copy2d{m, 0, 64, kHeap, 1, 64, 64, kMost, {kLegacy}});
    refused(ops::Copy2d{m, 0, 64, m, 0, 64, kMost, 1, {kLegacy}});
    // No pitch is no space between the rows, not rows on top of one another.
    refused(ops::Copy2d{m, 0, 0, m, 0, 0, kSize, 2, {kLegacy}});
    refused(ops::Copy2d{m, 0, 0, kHeap, 1, 0, 4096, 1024, {kLegacy}});
    CHECK(client.result_of(ops::MemoryAllocPitch{kMost, kMost, 4}) != CUDA_SUCCESS);
    CHECK(client.result_of(ops::MemoryAllocPitch{1 << 30, kMost / 512, 4}) != CUDA_SUCCESS);
    CHECK(client.result_of(ops::MemoryAlloc{kMost}) == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(client.result_of(ops::MemoryAlloc{kMost - 510}) == CUDA_ERROR_OUT_OF_MEMORY);
    refused(ops::MemoryFree{m + 512});
    refused(ops::MemoryFree{base + kHeap});
    refused(ops::ExtentClose{kHeap, kExtent * 2});
    refused(ops::ExtentClose{0, kExtent});
    refused(ops::ExtentClose{kMost, kMost});
    Stage::check_served(client);
  }
  stage.check_clean();
}

TEST_CASE("a fill of no rows touches nothing, however wide", "[memory]") {
  Stage stage;
  {
    Owner owner(stage);
    RawClient& client = *owner.client;
    const auto second = client.call(ops::MemoryAlloc{kSize});
    REQUIRE((second && second->result == 0));
    const uint64_t next = second->as<ops::MemoryAllocReply>().address;
    REQUIRE(client.result_of(ops::FillSync{next, 0, 7, 1, kSize, 1, {kLegacy}}) == 0);
    client.call(ops::FillSync{owner.memory, 0, 9, 1, 8 * kSize, 0, {kLegacy}});
    REQUIRE(client.result_of(ops::CopyToHostWait{kHeap, next, kSize, {kLegacy}}) == 0);
    CHECK(client.heap()[0] == 7);
    CHECK(client.heap()[kSize - 1] == 7);
  }
  stage.check_clean();
}

TEST_CASE("extents that cannot be cut the client off", "[memory]") {
  Stage stage;
  Owner owner(stage);
  RawClient& client = *owner.client;
  SECTION("over the control page") { client.call(ops::ExtentOpen{0, kExtent}); }
  SECTION("twice") { client.call(ops::ExtentOpen{kHeap, kExtent}); }
  SECTION("over another") { client.call(ops::ExtentOpen{kHeap, 2 * kExtent}); }
  SECTION("over one that lies inside") {
    REQUIRE(client.result_of(ops::ExtentOpen{kHeap + 4 * kExtent, kExtent}) == 0);
    client.call(ops::ExtentOpen{kHeap + 2 * kExtent, 4 * kExtent});
  }
  SECTION("of no size") { client.call(ops::ExtentOpen{kHeap + kExtent, 0}); }
  SECTION("unaligned") { client.call(ops::ExtentOpen{kHeap + kExtent + 4096, kExtent}); }
  SECTION("of an unaligned size") { client.call(ops::ExtentOpen{kHeap + kExtent, 4096}); }
  SECTION("past the window") { client.call(ops::ExtentOpen{kWindow - kExtent, 2 * kExtent}); }
  SECTION("wrapped") { client.call(ops::ExtentOpen{kHeap + kExtent, 0 - kExtent}); }
  stage.check_cut_off(client);
}

TEST_CASE("images outside the heap cut the client off", "[images]") {
  Stage stage;
  const auto client = stage.client();
  const ops::ModuleLoad lie = GENERATE(values<ops::ModuleLoad>({
      {.offset = 0, .size = 64},
      {.offset = kHeap, .size = 0},
      {.offset = kHeap, .size = kMost},
      {.offset = kHeap, .size = kWindow},
      {.offset = kMost, .size = 2},
      {.offset = kWindow - 1, .size = 2},
      {.offset = kWindow, .size = 1},
  }));
  ops::ModuleLoad op = lie;
  op.id = {make_handle(Kind::module, 1, 0)};
  client->call(op);
  stage.check_cut_off(*client);
}

namespace {

class Image {
 public:
  explicit Image(size_t size = 0) : bytes_(size) {}
  template <typename T>
  Image& put(size_t at, T value) {
    if (bytes_.size() < at + sizeof value) bytes_.resize(at + sizeof value);
    std::memcpy(bytes_.data() + at, &value, sizeof value);
    return *this;
  }
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

Image fatbin(uint16_t header, uint64_t files) {
  return Image(64).put<uint32_t>(0, 0xba55ed50).put<uint16_t>(4, 1).put(6, header).put(8, files);
}

/// One entry of PTX in a fatbin whose sizes are right.
Image entry(uint32_t header, uint64_t payload, uint64_t flags = 0, uint64_t uncompressed = 0) {
  return fatbin(16, 128)
      .put<uint16_t>(16, 1)
      .put(20, header)
      .put(24, payload)
      .put<uint32_t>(32, 64)
      .put<uint32_t>(44, 50)
      .put(56, flags)
      .put(72, uncompressed)
      .put<uint64_t>(136, 0);
}

Image elf(uint16_t sections, uint64_t at, uint16_t segments, uint64_t segments_at) {
  Image image(256);
  image.put<uint32_t>(0, 0x464c457f).put<uint8_t>(4, 2).put<uint8_t>(5, 1).put<uint16_t>(18, 190);
  return image.put(32, segments_at)
      .put(40, at)
      .put<uint16_t>(54, 56)
      .put(56, segments)
      .put<uint16_t>(58, 64)
      .put(60, sections);
}

std::vector<Image> lying_images() {
  const uint64_t window = 0x738000000000;
  return {
      Image().put<uint8_t>(0, 0x80),
      Image(64),
      // A wrapper leads wherever its pointer says: into this process of the host's.
      Image(64).put<uint32_t>(0, 0x466243b1).put<uint32_t>(4, 1).put<uint64_t>(8, 0x10),
      Image(64).put<uint32_t>(0, 0x466243b1).put<uint32_t>(4, 2).put<uint64_t>(8, window + kHeap),
      fatbin(16, kMost),
      fatbin(16, 1 << 30),
      fatbin(16, 49),
      fatbin(0xffff, 0),
      fatbin(0xffff, kMost - 0xffff + 1),
      fatbin(0, 64),
      Image().put<uint32_t>(0, 0xba55ed50),
      entry(0, 0),
      entry(64, kMost),
      entry(0xffffffff, 64),
      entry(64, 64, 0x2000, kMost),
      entry(64, 64, 0x2000, 1 << 20),
      entry(64, 64, 0x8000, 64 << 20),
      elf(0xffff, 64, 0, 0),
      elf(1, kMost - 10, 0, 0),
      elf(0, 0, 0xffff, 200),
      elf(0, 0, 1, kMost - 55),
      elf(1, 64, 0, 0).put<uint64_t>(64 + 24, kMost).put<uint64_t>(64 + 32, 2),
      elf(1, 64, 1, 128).put<uint64_t>(128 + 8, 1).put<uint64_t>(128 + 32, kMost),
      Image().put<uint32_t>(0, 0x464c457f),
  };
}

/// Loads it as a module and as a library, and uses the library.
void load(RawClient& client, std::span<const uint8_t> image) {
  std::memcpy(client.heap(), image.data(), image.size());
  const uint64_t module = make_handle(Kind::module, 1, 0), library = make_handle(Kind::library, 1, 0);
  const uint32_t loaded = client.result_of(ops::ModuleLoad{.id = {module}, .offset = kHeap, .size = image.size()});
  CHECK(loaded != CUDA_SUCCESS);
  CHECK(loaded != RawClient::kLost);
  const uint32_t made = client.result_of(ops::LibraryLoad{.id = {library}, .offset = kHeap, .size = image.size()});
  CHECK(made != RawClient::kLost);
  if (made != CUDA_SUCCESS) return;
  const uint64_t kernel = make_handle(Kind::kernel, 1, 0);
  CHECK(client.result_of(ops::LibraryGetKernel{.id = {library}, .result = {kernel}, .name = "add"}) != CUDA_SUCCESS);
  CHECK(client.result_of(ops::LibraryUnload{{library}}) == CUDA_SUCCESS);
}

}  // namespace

TEST_CASE("images that lie about themselves are refused", "[images]") {
  Stage stage;
  {
    const auto client = stage.client();
    for (const Image& image : lying_images()) load(*client, image.bytes());
    Stage::check_served(*client);
  }
  stage.check_clean();
}

TEST_CASE("truncated images are refused", "[images]") {
  Stage stage;
  {
    const auto client = stage.client();
    const std::string text(kVectorAdd);
    for (size_t size = 1; size < text.size() - 3; size += 29)
      load(*client, {reinterpret_cast<const uint8_t*>(text.data()), size});
    const auto whole = entry(64, 64).bytes();
    for (size_t size = 1; size < whole.size(); size += 5) load(*client, std::span(whole).first(size));
    Stage::check_served(*client);
  }
  stage.check_clean();
}

TEST_CASE("PTX that does not end is refused, within bounds of time and memory", "[images]") {
  Stage stage;
  {
    const auto client = stage.client();
    const uint64_t before = client->worker_memory();
    std::string text = ".version 7.0\n.target sm_75\n.address_size 64\n";
    SECTION("comments") { text.resize(32 << 20, '/'); }
    SECTION("one word") { text.resize(32 << 20, 'x'); }
    SECTION("brackets") {
      text += ".visible .entry e() {";
      text.resize(1 << 20, '{');
    }
    SECTION("expressions") {
      text += ".global .u32 x = ";
      text.resize(1 << 20, '(');
    }
    SECTION("a vast array") { text += ".global .b8 x[1152921504606846976];"; }
    SECTION("a vast shared array") { text += ".visible .entry e() { .shared .b8 x[4294967295]; ret; }"; }
    SECTION("a vast parameter") { text += ".visible .entry e(.param .b8 x[4294967295]) { ret; }"; }
    SECTION("vast registers") { text += ".visible .entry e() { .reg .u32 %r<4294967295>; ret; }"; }
    std::memcpy(client->heap(), text.data(), text.size());
    const uint32_t result = client->result_of(
        ops::ModuleLoad{.id = {make_handle(Kind::module, 1, 0)}, .offset = kHeap, .size = text.size()});
    CHECK(result != RawClient::kLost);
    CHECK(client->worker_memory() < before + (1u << 30));
    Stage::check_served(*client);
  }
  stage.check_clean();
}

TEST_CASE("options of a load that hold pointers are refused", "[images]") {
  Stage stage;
  {
    const auto client = stage.client();
    std::memcpy(client->heap(), kVectorAdd, sizeof kVectorAdd);
    for (const uint32_t option : {2u, 3u, 4u, 5u, 6u, 17u, 18u, 19u, 25u, 26u, 27u, 28u, 29u, 0xffffffffu}) {
      uint8_t bytes[16] = {};
      const uint64_t value = 0x41414141;
      std::memcpy(bytes, &option, 4);
      std::memcpy(bytes + 8, &value, 8);
      CHECK(
          client->result_of(ops::ModuleLoad{
              .id = {make_handle(Kind::module, 1, 0)}, .offset = kHeap, .size = sizeof kVectorAdd, .options = bytes}) ==
          CUDA_ERROR_INVALID_VALUE);
    }
    // Logs where no heap is are not written.
    CHECK(client->result_of(ops::ModuleLoad{.id = {make_handle(Kind::module, 1, 0)},
                                            .offset = kHeap,
                                            .size = sizeof kVectorAdd,
                                            .log_offset = 0,
                                            .info_log_size = 0xffffffff,
                                            .error_log_size = 0xffffffff}) == CUDA_SUCCESS);
    CHECK(client->control().magic == VGPU_WINDOW_MAGIC);
    // Attributes whose values would be pointers to the driver.
    const uint8_t value[64] = {0x41};
    for (const uint32_t attribute : {0u, 2u, 7u, 12u, 13u, 17u, 100u, 0xffffffffu})
      CHECK(client->result_of(ops::StreamSetAttribute{{kLegacy}, attribute, value}) == CUDA_ERROR_INVALID_VALUE);
  }
  stage.check_clean();
}
