// Greed: a client that takes all it can get is told when it has enough, and its worker stays small.
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
constexpr uint64_t kLegacy = 1;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kMemoryFactor = 6;  // what shadow and quarantine make of it
constexpr uint32_t kFewer = 8;
#else
constexpr uint64_t kMemoryFactor = 1;
constexpr uint32_t kFewer = 1;
#endif
constexpr uint64_t kMegabyte = 1 << 20;

/// What the worker grew by since this was made is less than `megabytes`.
class Growth {
 public:
  explicit Growth(const RawClient& client) : client_(client), before_(client.worker_memory()) {}
  bool is_below(uint64_t megabytes) const {
    const uint64_t now = client_.worker_memory();
    UNSCOPED_INFO("the worker grew from " << before_ / kMegabyte << " to " << now / kMegabyte << " MiB");
    return now < before_ + megabytes * kMegabyte * kMemoryFactor;
  }

 private:
  const RawClient& client_;
  uint64_t before_;
};

}  // namespace

TEST_CASE("handles beyond the limit of their kind are out of memory", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    const Growth growth(*client);
    const uint32_t last = wire::kMaxIndex;
    CHECK(client->result_of(ops::StreamCreate{{make_handle(Kind::stream, 1, last)}, 0, 0}) == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(client->result_of(ops::EventCreate{{make_handle(Kind::event, 1, last)}, 0}) == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(client->result_of(ops::GraphCreate{{make_handle(Kind::graph, 1, last)}, 0}) == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(client->result_of(ops::DevicePool{0, 0, {make_handle(Kind::pool, 1, last)}}) == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(client->result_of(ops::ContextCreate{0, 0, {make_handle(Kind::context, 1, last)}}) ==
          CUDA_ERROR_OUT_OF_MEMORY);
    std::memcpy(client->heap(), kVectorAdd, sizeof kVectorAdd);
    CHECK(client->result_of(ops::ModuleLoad{
              .id = {make_handle(Kind::module, 1, last)}, .offset = kHeap, .size = sizeof kVectorAdd}) ==
          CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(growth.is_below(16));
  }
  stage.check_clean();
}

TEST_CASE("a million events and streams: those beyond the limit are refused, the worker stays small", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    const Growth growth(*client);
    for (uint32_t i = 0; i < 1'000'000 / kFewer; ++i)
      client->post(ops::EventCreate{{make_handle(Kind::event, 1, i)}, 0}, i % 1000);
    for (uint32_t i = 0; i < 20'000; ++i)
      client->post(ops::StreamCreate{{make_handle(Kind::stream, 1, i)}, 1, 0}, i % 1000);
    const auto told = client->call(ops::StreamQuery{{kLegacy}}, 999);
    REQUIRE(told);
    CHECK(told->deferred == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(client->result_of(ops::EventQuery{{make_handle(Kind::event, 1, 1000)}}) == CUDA_SUCCESS);
    CHECK(growth.is_below(256));
  }
  stage.check_clean();
}

TEST_CASE("millions of deferred errors cost nothing and are told once", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    const Growth growth(*client);
    for (uint32_t i = 0; i < 3'000'000 / kFewer; ++i)
      client->post(ops::StreamDestroy{{make_handle(Kind::stream, 1, 5)}}, i % VGPU_SLOT_COUNT);
    const auto told = client->call(ops::StreamQuery{{kLegacy}}, 7);
    REQUIRE(told);
    CHECK(told->deferred == CUDA_ERROR_INVALID_HANDLE);
    CHECK(client->call(ops::StreamQuery{{kLegacy}}, 7)->deferred == 0);
    CHECK(growth.is_below(16));
    CHECK(count_lines(stage.process.output(), "\n") < 100);
  }
  stage.check_clean();
}

TEST_CASE("marks without bound hold the ring back, not the worker's memory", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    const Growth growth(*client);
    // The stream waits for a host function of ours, and behind it for nothing else.
    client->post(ops::HostFunction{{kLegacy}, 1, 0});
    uint32_t value = 0;
    const auto word = [](uint32_t mark) { return kHeap + mark % 262'144 * sizeof(uint32_t); };
    vgpu_record_header header = client->header_of(static_cast<uint16_t>(api::Op::staging_mark), 0, VGPU_RECORD_POSTED);
    // Until the ring stays full: the worker takes no more.
    const auto limit = control::Deadline::after(std::chrono::seconds(10));
    for (auto full_since = std::chrono::steady_clock::now();
         !limit.passed() && std::chrono::steady_clock::now() - full_since < std::chrono::milliseconds(500);) {
      uint8_t body[64];
      wire::Writer writer{std::span<uint8_t>(body)};
      ops::StagingMark{word(value), value + 1, {kLegacy}}.encode(writer);
      if (!client->try_append(header, writer.written())) continue;
      ++value;
      full_since = std::chrono::steady_clock::now();
    }
    CHECK_FALSE(limit.passed());
    CHECK(value < 200'000);
    CHECK(growth.is_below(64));
    // The step is done: everything goes on. A sanitizer takes minutes for so many queries.
    if (kFewer == 1) {
      __atomic_store_n(&client->control().step_done, 1, __ATOMIC_RELEASE);
      Stage::check_served(*client);
      CHECK(client->result_of(ops::StreamSynchronize{{kLegacy}}) == CUDA_SUCCESS);
      const auto last = client->window().word32(word(value - 1));
      CHECK(eventually([&] { return last.load(std::memory_order_acquire) == value; }));
    }
  }
  stage.check_clean();
}

TEST_CASE("host functions without end are out of memory at some point", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    const Growth growth(*client);
    for (uint32_t i = 0; i < 200'000 / kFewer; ++i) client->post(ops::HostFunction{{kLegacy}, i, 0});
    const auto told = client->call(ops::StreamQuery{{kLegacy}});
    REQUIRE(told);
    CHECK(told->result == CUDA_ERROR_NOT_READY);
    CHECK(told->deferred == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(growth.is_below(64));
  }
  stage.check_clean();
}

TEST_CASE("posted data a hundred times the ring: the worker's memory does not grow with them", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    const auto answer = client->call(ops::MemoryAlloc{32768});
    REQUIRE((answer && answer->result == 0));
    const uint64_t memory = answer->as<ops::MemoryAllocReply>().address;
    const std::vector<uint8_t> data(32768, 7);
    const Growth growth(*client);
    uint64_t largest = 0;
    for (uint64_t sent = 0; sent < (512ull << 20) / kFewer; sent += data.size()) {
      client->post(ops::CopyToDeviceInline{memory, {kLegacy}, data});
      if (sent % (64 << 20) == 0) largest = std::max(largest, client->worker_memory());
    }
    CHECK(client->result_of(ops::ContextSynchronize{}) == CUDA_SUCCESS);
    CHECK(growth.is_below(64));
  }
  stage.check_clean();
}

TEST_CASE("a kernel that prints for a guest that does not read fills no memory", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    const Growth growth(*client);
    const uint64_t module = make_handle(Kind::module, 1, 0);
    // A refused module is a line of text on the driver's standard error.
    std::memset(client->heap(), 'x', 4096);
    for (int i = 0; i < 2000; ++i) {
      client->call(ops::ModuleLoad{.id = {module}, .offset = kHeap, .size = 4096});
      client->call(ops::ConsoleRead{});
    }
    client->control().console_head = 0x80000000;
    for (int i = 0; i < 2000; ++i) client->call(ops::ConsoleRead{});
    CHECK(growth.is_below(64));
    Stage::check_served(*client);
  }
  stage.check_clean();
}

namespace {

/// Captures launches of `inner` (or, without one, host functions), and instantiates.
uint32_t capture(RawClient& client, uint32_t index, unsigned nodes, uint64_t inner, uint64_t& exec) {
  const uint64_t stream = make_handle(Kind::stream, 1, 0);
  const uint64_t graph = make_handle(Kind::graph, 1, index);
  exec = make_handle(Kind::exec, 1, index);
  if (const uint32_t began = client.result_of(ops::StreamBeginCapture{{stream}, 2}); began != 0) return began;
  uint32_t result = 0;
  for (unsigned i = 0; i < nodes && result == 0; ++i) {
    if (inner != 0)
      result = client.result_of(ops::GraphLaunch{{inner}, {stream}});
    else
      client.post(ops::HostFunction{{stream}, i, 0});
  }
  const uint32_t ended = client.result_of(ops::StreamEndCapture{{stream}, {graph}});
  if (result != 0 || ended != 0) return result != 0 ? result : ended;
  return client.result_of(ops::GraphInstantiate{{graph}, {exec}, 0});
}

}  // namespace

TEST_CASE("graphs inside graphs end at a depth, and where their nodes become too many", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    const Growth growth(*client);
    REQUIRE(client->result_of(ops::StreamCreate{{make_handle(Kind::stream, 1, 0)}, 1, 0}) == 0);
    uint64_t exec = 0;
    REQUIRE(capture(*client, 0, 2, 0, exec) == 0);
    const unsigned wide = GENERATE(1, 2, 16);
    uint32_t result = 0;
    uint32_t levels = 0;
    while (result == 0 && levels < 1000) result = capture(*client, ++levels, wide, exec, exec);
    CHECK(result == CUDA_ERROR_OUT_OF_MEMORY);
    CHECK(levels <= 65);
    // The driver keeps a copy of what is inside, and so does the software GPU: some 2 KiB a node, and twice as many
    // nodes as the largest graph has.
    CHECK(growth.is_below(1024));
    // The capture that was refused has ended: the stream is an ordinary one again.
    CHECK(client->result_of(ops::StreamSynchronize{{make_handle(Kind::stream, 1, 0)}}) == CUDA_SUCCESS);
  }
  stage.check_clean();
}

TEST_CASE("a graph of very many nodes comes and goes", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    REQUIRE(client->result_of(ops::StreamCreate{{make_handle(Kind::stream, 1, 0)}, 1, 0}) == 0);
    uint64_t exec = 0;
    const uint32_t nodes = 200'000;
    REQUIRE(capture(*client, 0, nodes, 0, exec) == 0);
    const auto count = client->call(ops::GraphNodeCount{{make_handle(Kind::graph, 1, 0)}, 0});
    REQUIRE((count && count->result == 0));
    CHECK(count->as<ops::GraphNodeCountReply>().count == nodes);
    for (const uint64_t first : {uint64_t{0}, uint64_t{nodes - 1}, uint64_t{nodes}, ~uint64_t{0}})
      CHECK(client->result_of(ops::GraphNodes{{make_handle(Kind::graph, 1, 0)}, 0, first}) == CUDA_SUCCESS);
    CHECK(client->result_of(ops::GraphDestroy{{make_handle(Kind::graph, 1, 0)}}) == CUDA_SUCCESS);
    CHECK(client->result_of(ops::ExecDestroy{{exec}}) == CUDA_SUCCESS);
    Stage::check_served(*client);
  }
  stage.check_clean();
}

TEST_CASE("launches past all limits are refused", "[resources]") {
  Stage stage;
  {
    const auto client = stage.client();
    std::memcpy(client->heap(), kVectorAdd, sizeof kVectorAdd);
    const uint64_t module = make_handle(Kind::module, 1, 0), kernel = make_handle(Kind::function, 1, 0);
    REQUIRE(client->result_of(ops::ModuleLoad{.id = {module}, .offset = kHeap, .size = sizeof kVectorAdd}) == 0);
    REQUIRE(client->result_of(ops::ModuleGetFunction{.id = {module}, .result = {kernel}, .name = "add"}) == 0);
    const auto launch = [&](uint32_t grid, uint32_t block, uint32_t shared, size_t parameters, size_t attributes) {
      const std::vector<uint8_t> block_of(parameters, 0xff), attributes_of(attributes, 0xff);
      return client->result_of(
          ops::LaunchSync{{kernel}, grid, grid, grid, block, block, block, shared, {kLegacy}, attributes_of, block_of});
    };
    const uint32_t most = 0xffffffff;
    CHECK(launch(0, 1, 0, 24, 0) != CUDA_SUCCESS);
    CHECK(launch(most, 1, 0, 24, 0) != CUDA_SUCCESS);
    CHECK(launch(1, most, 0, 24, 0) != CUDA_SUCCESS);
    CHECK(launch(0x10000, 0x10000, 0, 24, 0) != CUDA_SUCCESS);
    CHECK(launch(1, 1, most, 24, 0) != CUDA_SUCCESS);
    CHECK(launch(1, 1, 0, 0, 0) != CUDA_SUCCESS);
    CHECK(launch(1, 1, 0, 23, 0) != CUDA_SUCCESS);
    CHECK(launch(1, 1, 0, 24, 72) != CUDA_SUCCESS);
    CHECK(launch(1, 1, 0, 24, 28 * 72) != CUDA_SUCCESS);
    Stage::check_served(*client);
    launch(1, 1, 0, 24, 71);
    stage.check_cut_off(*client);
  }
  stage.check_clean();
}
