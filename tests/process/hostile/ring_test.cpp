// What a guest may write into its ring.
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <thread>

#include "common/api/cuda_types.hpp"
#include "tests/process/hostile/stage.hpp"

using namespace vgpu;
using namespace vgpu::test;
using control::ExitClass;
namespace ops = api::ops;
using wire::Kind;
using wire::make_handle;

namespace {

/// A header where the next record is read, and `announced` bytes of tail.
void forge(RawClient& client, const vgpu_record_header& header, uint64_t announced) {
  std::memcpy(client.ring_at(client.position()), &header, sizeof header);
  client.set_tail(client.position() + announced);
}

vgpu_record_header of_size(uint32_t size, uint32_t body = 0,
                           uint16_t op = static_cast<uint16_t>(api::Op::driver_facts)) {
  vgpu_record_header header{};
  header.size = size;
  header.op = op;
  header.body = body;
  return header;
}

uint16_t number(api::Op op) { return static_cast<uint16_t>(op); }

}  // namespace

TEST_CASE("tails that no producer writes cut the client off", "[ring]") {
  Stage stage;
  const auto client = stage.client();
  const uint64_t at = client->position();
  SECTION("beyond the ring's size") { client->set_tail(at + VGPU_RING_SIZE + VGPU_RECORD_ALIGN); }
  SECTION("unaligned") { client->set_tail(at + 8); }
  SECTION("backwards") { client->set_tail(at - VGPU_RECORD_ALIGN); }
  SECTION("the largest number") { client->set_tail(~uint64_t{0}); }
  SECTION("wrapped") { client->set_tail(~uint64_t{15}); }
  stage.check_cut_off(*client);
}

TEST_CASE("sizes that no producer writes cut the client off", "[ring]") {
  Stage stage;
  const auto client = stage.client();
  SECTION("zero") { forge(*client, of_size(0), 64); }
  SECTION("unaligned") { forge(*client, of_size(40), 64); }
  SECTION("past what is announced") { forge(*client, of_size(128), 64); }
  SECTION("larger than any record") { forge(*client, of_size(VGPU_RECORD_MAX + 16), VGPU_RECORD_MAX + 16); }
  SECTION("smaller than a header") { forge(*client, of_size(16), 64); }
  SECTION("the largest") { forge(*client, of_size(0xfffffff0), 64); }
  SECTION("a body larger than its record") { forge(*client, of_size(64, 33), 64); }
  SECTION("the largest body") { forge(*client, of_size(64, 0xffffffff), 64); }
  SECTION("padding over the end of the ring") {
    forge(*client, of_size(VGPU_RING_SIZE, 0, VGPU_OP_PAD), VGPU_RING_SIZE);
  }
  stage.check_cut_off(*client);
}

TEST_CASE("headers that no shim writes cut the client off", "[ring]") {
  Stage stage;
  const auto client = stage.client();
  auto header = client->header_of(number(api::Op::driver_facts));
  SECTION("an operation that is none") { header.op = 999; }
  SECTION("an operation beyond the table") { header.op = 0xffff; }
  SECTION("an unknown flag") { header.flags = 0x8000; }
  SECTION("all flags") { header.flags = 0xffff; }
  SECTION("a slot past the end") { header.slot = VGPU_SLOT_COUNT; }
  SECTION("the largest slot") { header.slot = 0xffffffff; }
  SECTION("a call posted that has an answer") { header.flags = VGPU_RECORD_POSTED; }
  client->append(header);
  stage.check_cut_off(*client);
}

TEST_CASE("bodies that do not decode cut the client off", "[ring]") {
  Stage stage;
  const auto client = stage.client();
  std::vector<uint8_t> body(64, 0xff);
  SECTION("too short") { client->append(client->header_of(number(api::Op::memory_alloc)), std::span(body).first(7)); }
  SECTION("too long") { client->append(client->header_of(number(api::Op::memory_alloc)), std::span(body).first(9)); }
  SECTION("none") { client->append(client->header_of(number(api::Op::launch)), {}); }
  SECTION("bytes that go on past the end") { client->append(client->header_of(number(api::Op::launch)), body); }
  SECTION("a forwarded call") { client->append(client->header_of(number(api::Op::cuMemPoolCreate)), body); }
  stage.check_cut_off(*client);
}

TEST_CASE("a second call in a slot that waits cuts the client off", "[ring]") {
  Stage stage;
  const auto client = stage.client();
  client->post(ops::HostFunction{{1}, 7, 0});  // the stream waits for us
  client->send(ops::StreamSynchronize{{1}}, 5, 0);
  client->send(ops::DriverFacts{}, 5, 0);
  stage.check_cut_off(*client);
}

TEST_CASE("a context that is none is an error, whatever is asked", "[ring]") {
  Stage stage;
  {
    RawClient client(stage.socket);
    client.start();
    const uint64_t bad[] = {0,
                            1,
                            make_handle(Kind::context, 1, 0),
                            make_handle(Kind::context, 2, 0),
                            make_handle(Kind::stream, 1, 0),
                            make_handle(Kind::context, 1, wire::kMaxIndex),
                            ~uint64_t{0}};
    for (const bool made : {false, true}) {
      if (made) client.make_context();
      for (const uint64_t handle : bad) {
        if (made && handle == make_handle(Kind::context, 1, 0)) continue;
        client.context = handle;
        CHECK(client.result_of(ops::StreamSynchronize{{1}}) == cuda::CUDA_ERROR_INVALID_CONTEXT);
        CHECK(client.result_of(ops::ContextSynchronize{}) == cuda::CUDA_ERROR_INVALID_CONTEXT);
        CHECK(client.result_of(ops::MemoryAlloc{4096}) == cuda::CUDA_ERROR_INVALID_CONTEXT);
        CHECK(client.result_of(ops::CopyToHostInlineWait{1, 4, {1}}) == cuda::CUDA_ERROR_INVALID_CONTEXT);
        client.post(ops::StreamCreate{{make_handle(Kind::stream, 1, 9)}, 0, 0});
      }
    }
  }
  stage.check_clean();
}

TEST_CASE("handles of the wrong kind, a stale generation or another client name nothing", "[ring]") {
  Stage stage;
  {
    const auto client = stage.client();
    const auto other = stage.client();
    const uint64_t stream = make_handle(Kind::stream, 1, 3);
    const uint64_t event = make_handle(Kind::event, 1, 4);
    other->post(ops::StreamCreate{{stream}, 0, 0});
    other->post(ops::EventCreate{{event}, 0});
    REQUIRE(other->result_of(ops::StreamQuery{{stream}}) == 0);
    const uint64_t mine = make_handle(Kind::stream, 5, 6);
    client->post(ops::StreamCreate{{mine}, 0, 0});
    REQUIRE(client->result_of(ops::StreamQuery{{mine}}) == 0);
    const uint64_t bad[] = {stream,
                            event,
                            0,
                            2,
                            make_handle(Kind::stream, 4, 6),
                            make_handle(Kind::event, 5, 6),
                            mine | uint64_t{1} << 48,
                            ~uint64_t{0},
                            make_handle(Kind::stream, 5, wire::kMaxIndex)};
    for (const uint64_t handle : bad) {
      CHECK(client->result_of(ops::StreamQuery{{handle}}) == cuda::CUDA_ERROR_INVALID_HANDLE);
      CHECK(client->result_of(ops::StreamSynchronize{{handle}}) == cuda::CUDA_ERROR_INVALID_HANDLE);
      CHECK(client->result_of(ops::EventQuery{{handle}}) == cuda::CUDA_ERROR_INVALID_HANDLE);
      CHECK(client->result_of(ops::ModuleUnload{{handle}}) == cuda::CUDA_ERROR_INVALID_HANDLE);
      CHECK(client->result_of(ops::FunctionGetAttribute{{handle}, 0}) == cuda::CUDA_ERROR_INVALID_HANDLE);
      CHECK(client->result_of(ops::GraphInstantiate{{handle}, {make_handle(Kind::exec, 1, 0)}, 0}) ==
            cuda::CUDA_ERROR_INVALID_HANDLE);
      CHECK(client->result_of(ops::LaunchSync{.what = {handle}, .grid_x = 1, .on = {1}}) ==
            cuda::CUDA_ERROR_INVALID_HANDLE);
    }
  }
  stage.check_clean();
}

TEST_CASE("a record that another thread changes while it is read is refused or done, never half of both", "[ring]") {
  Stage stage;
  {
    const auto client = stage.client();
    std::atomic<uint64_t> place{client->position()};
    // The size, operation, flags and body length of the record that the worker may be reading just now.
    std::jthread flipper([&](const std::stop_token& end) {
      for (uint32_t round = 0; !end.stop_requested(); ++round) {
        uint8_t* record = client->ring_at(place);
        const uint32_t size = round % 2 == 0 ? 48 : 0xfffffff0;
        const uint32_t body = round % 2 == 0 ? 8 : 0xffffffff;
        __atomic_store_n(reinterpret_cast<uint32_t*>(record), size, __ATOMIC_RELAXED);
        __atomic_store_n(reinterpret_cast<uint32_t*>(record + 24), body, __ATOMIC_RELAXED);
      }
    });
    for (int i = 0; i < 20'000 && !client->is_lost(); ++i) {
      place = client->position();
      if (!client->append(client->header_of(number(api::Op::event_query), 0, 0), std::vector<uint8_t>(8))) break;
      client->wait(0, client->last_sequence());
    }
    flipper.request_stop();
    flipper.join();
    if (client->is_lost()) stage.check_cut_off(*client);
  }
  stage.check_clean();
}

TEST_CASE("random bytes in the ring end their client's worker, and nothing else", "[ring]") {
  Stage stage;
  for (unsigned seed = 0; seed < 20; ++seed) {
    const auto client = stage.client();
    std::mt19937_64 random(seed);
    for (uint64_t at = 0; at < VGPU_RING_SIZE; at += 8) {
      const uint64_t value = seed % 2 == 0 ? random() : random() % 256;
      std::memcpy(client->ring_at(at), &value, sizeof value);
    }
    client->set_tail(client->position() + 16 * (1 + random() % 1000));
    stage.check_cut_off(*client);
  }
  stage.check_clean();
}

namespace {

/// Numbers at which arithmetic goes wrong, and numbers that mean something to the client of this test.
class Interesting {
 public:
  Interesting(unsigned seed, uint64_t window_base, uint64_t memory)
      : random_(seed), base_(window_base), memory_(memory) {}

  uint64_t next() {
    static constexpr uint64_t kEdges[] = {0,
                                          1,
                                          2,
                                          3,
                                          4,
                                          16,
                                          64,
                                          880,
                                          881,
                                          4096,
                                          32768,
                                          0x7fffffff,
                                          0x80000000,
                                          0xffffffff,
                                          0x100000000,
                                          0x7fffffffffffffff,
                                          0x8000000000000000,
                                          ~uint64_t{0},
                                          ~uint64_t{15},
                                          VGPU_HEAP_OFFSET,
                                          VGPU_HEAP_OFFSET + 0x200000,
                                          0x200000,
                                          256ull << 20,
                                          (256ull << 20) - 4};
    switch (random_() % 6) {
      case 0:
        return kEdges[random_() % std::size(kEdges)];
      case 1:
        return make_handle(static_cast<Kind>(random_() % 13), 1, static_cast<uint32_t>(random_() % 4));
      case 2:
        return memory_ + random_() % 3 * 2048;
      case 3:
        return base_ + VGPU_HEAP_OFFSET + random_() % 4096;
      case 4:
        return random_() % 8;
      default:
        return random_() >> random_() % 64;
    }
  }
  std::mt19937_64& random() { return random_; }
  uint32_t fresh() { return fresh_++; }

 private:
  std::mt19937_64 random_;
  uint64_t base_;
  uint64_t memory_;
  uint32_t fresh_ = 0;
};

/// A body of whole fields, as records have them: words of four and eight bytes, and now and then a block of bytes.
std::vector<uint8_t> body_from(Interesting& numbers) {
  std::vector<uint8_t> body;
  const auto put = [&](uint64_t value, size_t size) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    body.insert(body.end(), bytes, bytes + size);
  };
  for (size_t fields = numbers.random()() % 12; fields > 0; --fields) {
    const auto dice = numbers.random()() % 8;
    if (dice == 0) {
      const size_t size = numbers.random()() % 100;
      put(size, 4);
      for (size_t i = 0; i < size; ++i) put(numbers.random()() % 4, 1);
    } else {
      put(numbers.next(), dice < 4 ? 4 : 8);
    }
  }
  return body;
}

template <Kind K>
constexpr uint64_t kind_bits(const wire::Id<K>&) {
  return make_handle(K, 0, 0);
}

/// Most records must be no violation, or the worker ends before it has seen much: offsets go into the heap, and what is
/// made gets a handle that is not in use.
template <typename Op>
void tame(Interesting& numbers, Op& op) {
  const auto in_heap = [&](uint64_t& offset) { offset = VGPU_HEAP_OFFSET + numbers.random()() % 0x100000 * 4; };
  const auto small = [&](uint64_t& size) { size %= 8192; };
  if constexpr (requires { op.size, op.offset; }) {
    in_heap(op.offset);
    small(op.size);
  }
  if constexpr (std::is_same_v<Op, ops::ExtentOpen> || std::is_same_v<Op, ops::ExtentClose>) {
    op.offset = VGPU_HEAP_OFFSET + numbers.fresh() % 100 * VGPU_EXTENT_ALIGN;
    op.size = VGPU_EXTENT_ALIGN;
  }
  if constexpr (requires { op.to_offset; }) {
    in_heap(op.to_offset);
    in_heap(op.from_offset);
    small(op.size);
  }
  if constexpr (requires { op.to_is_window; }) {
    if (op.to_is_window != 0) in_heap(op.to);
    if (op.from_is_window != 0) in_heap(op.from);
    for (uint64_t* number : {&op.to_pitch, &op.from_pitch, &op.width, &op.height}) *number %= 512;
  }
  if constexpr (requires { op.word_offset; }) in_heap(op.word_offset);
  if constexpr (std::is_same_v<Op, ops::CopyToHostInlineWait>) op.size %= 881;
  if constexpr (std::is_same_v<Op, ops::PrimaryRetain>) {
    op.device = 0;
    op.id.value = make_handle(Kind::context, 1, 0);
  }
  if constexpr (std::is_same_v<Op, ops::ContextCreate>)
    op.id.value = make_handle(Kind::context, 1, 1 + numbers.fresh());
  if constexpr (std::is_same_v<Op, ops::StreamCreate>) op.id.value = make_handle(Kind::stream, 1, numbers.fresh());
  if constexpr (std::is_same_v<Op, ops::EventCreate>) op.id.value = make_handle(Kind::event, 1, numbers.fresh());
  if constexpr (requires { op.result; })
    op.result.value = make_handle(wire::kind_of(kind_bits(op.result)), 1, numbers.fresh());
}

/// Every field of this operation as the table has it, with interesting numbers in it.
template <typename... Ops>
struct Mutators {
  template <typename Op>
  static std::vector<uint8_t> encode(Interesting& numbers) {
    // Decodes from numbers, so that lengths and order are right, and encodes what came of it.
    for (;;) {
      std::vector<uint8_t> raw;
      for (int i = 0; i < 30; ++i) {
        const uint64_t value = numbers.next();
        const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
        raw.insert(raw.end(), bytes, bytes + 8);
      }
      for (size_t length = 0; length <= raw.size(); ++length) {
        Op op;
        wire::Reader in(wire::Bytes(raw).first(length));
        if (!op.decode(in)) continue;
        if (numbers.random()() % 64 != 0) tame(numbers, op);
        std::vector<uint8_t> body(2 * raw.size());
        wire::Writer writer{std::span<uint8_t>(body)};
        op.encode(writer);
        body.resize(writer.size());
        return body;
      }
    }
  }
  static std::vector<uint8_t> encode(Interesting& numbers, uint16_t& op) {
    using Encode = std::vector<uint8_t> (*)(Interesting&);
    static constexpr Encode kAll[] = {&encode<Ops>...};
    static constexpr uint16_t kNumbers[] = {static_cast<uint16_t>(Ops::kOp)...};
    const size_t pick = numbers.random()() % std::size(kAll);
    op = kNumbers[pick];
    return kAll[pick](numbers);
  }
};

using Everything =
    Mutators<ops::ExtentOpen, ops::ExtentClose, ops::PrimaryRetain, ops::PrimaryRelease, ops::PrimaryReset,
             ops::ContextCreate, ops::ContextDestroy, ops::ContextSynchronize, ops::ContextSetFlags, ops::ModuleUnload,
             ops::ModuleFunctionCount, ops::ModuleGetFunction, ops::ModuleGetGlobal, ops::ModuleFunctionAt,
             ops::LibraryUnload, ops::LibraryGetKernel, ops::LibraryGetModule, ops::LibraryGetGlobal,
             ops::LibraryKernelCount, ops::LibraryKernelAt, ops::KernelGetFunction, ops::KernelGetAttribute,
             ops::KernelSetAttribute, ops::FunctionGetAttribute, ops::FunctionSetAttribute, ops::FunctionParameters,
             ops::MemoryAlloc, ops::MemoryFree, ops::MemoryAllocPitch, ops::MemoryRange, ops::PointerAttribute,
             ops::MemoryAllocAsync, ops::MemoryFreeAsync, ops::DevicePool, ops::PoolGetAttribute, ops::PoolSetAttribute,
             ops::CopyToDevice, ops::CopyToHost, ops::CopyOnDevice, ops::CopyInWindow, ops::CopyToDeviceWait,
             ops::CopyToHostWait, ops::CopyToHostInlineWait, ops::CopyOnDeviceSync, ops::Copy2d, ops::Fill,
             ops::FillSync, ops::StagingMark, ops::StreamCredit, ops::StreamCreate, ops::StreamDestroy,
             ops::StreamQuery, ops::StreamSynchronize, ops::StreamWaitEvent, ops::StreamGetAttribute,
             ops::StreamBeginCapture, ops::StreamEndCapture, ops::StreamCaptureInfo, ops::StreamCaptureDependencies,
             ops::EventCreate, ops::EventDestroy, ops::EventRecord, ops::EventQuery, ops::EventSynchronize,
             ops::EventElapsed, ops::GraphCreate, ops::GraphDestroy, ops::GraphInstantiate, ops::GraphLaunch,
             ops::GraphUpload, ops::ExecDestroy, ops::GraphNodeCount, ops::GraphNodes, ops::GraphAddEmptyNode>;

/// Sends records until the worker ends or has had enough; never waits for an answer in a slot twice.
void pester(RawClient& client, unsigned seed, unsigned records) {
  const auto allocated = client.call(ops::MemoryAlloc{8192});
  if (!allocated || allocated->result != 0) return;
  client.call(ops::ExtentOpen{VGPU_HEAP_OFFSET, VGPU_EXTENT_ALIGN});
  std::memcpy(client.heap(), kVectorAdd, sizeof kVectorAdd);
  Interesting numbers(seed, client.window().base(), allocated->as<ops::MemoryAllocReply>().address);
  for (unsigned i = 0; i < records && !client.is_lost(); ++i) {
    uint16_t op = static_cast<uint16_t>(numbers.random()() % 260);
    const bool sound = numbers.random()() % 512 != 0;
    const auto body = sound ? Everything::encode(numbers, op) : body_from(numbers);
    auto header = client.header_of(op, 0, 0);
    if (numbers.random()() % 16 == 0) header.context = numbers.next();
    if (!client.append(header, body)) return;
    const auto deadline = control::Deadline::after(std::chrono::milliseconds(2000));
    // A record may be one that waits for the guest: then the client goes.
    while (!client.is_lost() && !client.is_answered(0, header.sequence))
      if (deadline.passed()) return;
  }
}

}  // namespace

TEST_CASE("whatever records say, no worker dies of a signal", "[ring]") {
  Stage stage;
  // More of them: VGPU_HOSTILE_SEEDS, for whoever has the time.
  const char* wanted = getenv("VGPU_HOSTILE_SEEDS");
  const unsigned seeds = wanted != nullptr ? static_cast<unsigned>(atoi(wanted)) : 60;
  for (unsigned seed = 1; seed <= seeds; ++seed) {
    const auto client = stage.client();
    pester(*client, seed, 300);
    if (!client->is_lost()) continue;
    INFO("seed " << seed);
    CHECK(client->end() != ExitClass::killed_by_signal);
    CHECK(client->end() != ExitClass::internal);
  }
  stage.check_clean();
}

TEST_CASE("answers to steps and console positions that lie harm nobody", "[ring]") {
  Stage stage;
  {
    const auto client = stage.client();
    std::mt19937 random(5);
    for (int i = 0; i < 200; ++i) {
      client->control().step_done = static_cast<uint32_t>(random());
      client->control().step_sleeping = static_cast<uint32_t>(random());
      client->control().console_head = static_cast<uint32_t>(random());
      client->post(ops::HostFunction{{1}, random(), i % 2u});
      CHECK(client->result_of(ops::ConsoleRead{}, 1) == 0);
    }
    for (const uint32_t lie : {0x7fffffffu, 0x80000000u, 0xffffffffu}) client->control().step_done = lie;
    __atomic_store_n(&client->control().step_done, client->control().step_posted + 200, __ATOMIC_RELEASE);
    client->send(ops::StreamSynchronize{{1}}, 2, 0);
    Stage::check_served(*client);
  }
  stage.check_clean();
}
