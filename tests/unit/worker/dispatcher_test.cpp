// The dispatcher over a driver that only remembers: who is answered when, and with which errors.
#include <catch2/catch.hpp>

#include "running_worker.hpp"

using namespace vgpu::cuda;
namespace ops = vgpu::api::ops;
using vgpu::wire::Kind;
using vgpu::wire::make_handle;
using vgpu::worker::End;

namespace {

constexpr uint32_t kMine = 3;     // slot of one guest thread
constexpr uint32_t kOther = 900;  // and of another
constexpr uint64_t kLegacy = 1;
const uint64_t kContext = make_handle(Kind::context, 1, 0);
const uint64_t kUnknownStream = make_handle(Kind::stream, 1, 77);

/// A worker with a context; its GPU works until the test says that it has finished.
struct BusyWorker : RunningWorker {
  BusyWorker() {
    REQUIRE(call(kMine, ops::ContextCreate{.device = 0, .flags = 0, .id = {kContext}}).result == CUDA_SUCCESS);
    context = kContext;
  }
  uint64_t allocate() {
    const Answer answer = call(kMine, ops::MemoryAlloc{1 << 20});
    REQUIRE(answer.result == CUDA_SUCCESS);
    ops::MemoryAllocReply reply;
    vgpu::wire::Reader in(answer.data);
    REQUIRE(reply.decode(in));
    return reply.address;
  }
  void start_work(uint64_t memory) {
    fake::state().finished = false;
    post(kMine, ops::CopyOnDevice{.to = memory, .from = memory, .size = 64, .on = {kLegacy}});
  }
};

vgpu_record_header record(uint16_t op) {
  vgpu_record_header header{};
  header.op = op;
  header.sequence = 1;
  return header;
}

}  // namespace

TEST_CASE("a call is answered") {
  RunningWorker worker;
  const Answer answer = worker.call(kMine, ops::DriverFacts{});
  REQUIRE(answer.result == CUDA_SUCCESS);
  ops::DriverFactsReply reply;
  vgpu::wire::Reader in(answer.data);
  REQUIRE(reply.decode(in));
  CHECK(reply.driver_version == 13000);
  CHECK(reply.device_count == 1);
}

TEST_CASE("a call that fails has no data, and a context that is none is refused") {
  RunningWorker worker;
  worker.context = kContext;
  const Answer answer = worker.call(kMine, ops::MemoryAlloc{64});
  CHECK(answer.result == CUDA_ERROR_INVALID_CONTEXT);
  CHECK(answer.data.empty());
}

TEST_CASE("what a posted record failed with is told once, by a call of the same thread that waits") {
  BusyWorker worker;
  worker.post(kMine, ops::StreamDestroy{{kUnknownStream}});
  worker.post(kMine, ops::EventDestroy{{make_handle(Kind::event, 1, 5)}});  // the first error counts

  // One that makes something would be taken back, and one of another thread is none of its business.
  const Answer made = worker.call(kMine, ops::MemoryAlloc{64});
  CHECK(made.result == CUDA_SUCCESS);
  CHECK(made.deferred == 0);
  CHECK(worker.call(kOther, ops::ContextSynchronize{}).deferred == 0);

  const Answer told = worker.call(kMine, ops::StreamQuery{{kLegacy}});
  CHECK(told.result == CUDA_SUCCESS);
  CHECK(told.deferred == CUDA_ERROR_INVALID_HANDLE);
  CHECK(worker.call(kMine, ops::StreamQuery{{kLegacy}}).deferred == 0);
}

TEST_CASE("an operation that may be posted answers when it is called instead") {
  BusyWorker worker;
  const Answer answer = worker.call(kMine, ops::StreamDestroy{{kUnknownStream}});
  CHECK(answer.result == CUDA_ERROR_INVALID_HANDLE);
  CHECK(worker.call(kMine, ops::StreamQuery{{kLegacy}}).deferred == 0);
  CHECK(worker.call(kMine, ops::StreamCreate{{make_handle(Kind::stream, 1, 0)}, 0, 0}).result == CUDA_SUCCESS);
  CHECK(fake::state().streams_created == 1);
}

TEST_CASE("a call that the driver would wait in is parked, and others go on") {
  BusyWorker worker;
  const uint64_t memory = worker.allocate();
  worker.start_work(memory);
  const uint32_t freeing = worker.send(kMine, ops::MemoryFree{memory});

  // Records are taken in order: once this is answered, the free has been looked at.
  CHECK(worker.call(kOther, ops::DriverFacts{}).result == CUDA_SUCCESS);
  CHECK_FALSE(worker.is_answered(kMine, freeing));
  CHECK(fake::state().frees == 0);
  CHECK(fake::state().fences == 1);

  fake::state().finished = true;
  CHECK(worker.wait(kMine, freeing).result == CUDA_SUCCESS);
  CHECK(fake::state().frees == 1);
  CHECK(fake::state().context_waits == 0);
}

TEST_CASE("a call that was parked for the work of a context that ends then is not answered with that end") {
  constexpr uint32_t kThird = 17;
  const uint64_t second = make_handle(Kind::context, 1, 1);
  BusyWorker worker;
  REQUIRE(worker.call(kOther, ops::ContextCreate{.device = 0, .flags = 0, .id = {second}}).result == CUDA_SUCCESS);
  worker.start_work(worker.allocate());
  const uint32_t ending = worker.send(kMine, ops::ContextDestroy{{kContext}});
  worker.context = second;
  const uint32_t closing = worker.send(kOther, ops::ExtentClose{VGPU_HEAP_OFFSET, VGPU_EXTENT_ALIGN});

  CHECK(worker.call(kThird, ops::DriverFacts{}).result == CUDA_SUCCESS);
  CHECK_FALSE(worker.is_answered(kMine, ending));
  CHECK_FALSE(worker.is_answered(kOther, closing));

  fake::state().finished = true;
  CHECK(worker.wait(kMine, ending).result == CUDA_SUCCESS);
  CHECK(worker.wait(kOther, closing).result == CUDA_ERROR_INVALID_VALUE);  // its own answer: nothing is open there
}

TEST_CASE("an idle context is not waited for") {
  BusyWorker worker;
  const uint64_t memory = worker.allocate();
  CHECK(worker.call(kMine, ops::MemoryFree{memory}).result == CUDA_SUCCESS);
  CHECK(fake::state().fences == 0);
  CHECK(fake::state().frees == 1);
}

TEST_CASE("a wait is answered when the work is done, and not in the driver") {
  BusyWorker worker;
  worker.start_work(worker.allocate());
  const uint32_t waiting = worker.send(kMine, ops::ContextSynchronize{});
  CHECK(worker.call(kOther, ops::DriverFacts{}).result == CUDA_SUCCESS);
  CHECK_FALSE(worker.is_answered(kMine, waiting));
  fake::state().finished = true;
  CHECK(worker.wait(kMine, waiting).result == CUDA_SUCCESS);
  CHECK(fake::state().context_waits == 0);
}

TEST_CASE("records that break the protocol end the session") {
  RunningWorker worker;
  SECTION("an operation that does not exist") { worker.append_raw(record(999)); }
  SECTION("a number beyond the table") { worker.append_raw(record(0xffff)); }
  SECTION("a slot that does not exist") {
    auto header = record(static_cast<uint16_t>(ops::DriverFacts::kOp));
    header.slot = VGPU_SLOT_COUNT;
    worker.append_raw(header);
  }
  SECTION("an unknown flag") {
    auto header = record(static_cast<uint16_t>(ops::DriverFacts::kOp));
    header.flags = 2;
    worker.append_raw(header);
  }
  SECTION("an operation posted that has an answer") { worker.post(kMine, ops::DriverFacts{}); }
  SECTION("a body that is too long") {
    const uint8_t body[3] = {};
    worker.append_raw(record(static_cast<uint16_t>(ops::DriverFacts::kOp)), body);
  }
  CHECK(worker.end() == End::violation);
  CHECK(worker.sticky_error() == 0);
}

TEST_CASE("a handle bound twice ends the session") {
  BusyWorker worker;
  worker.post(kMine, ops::StreamCreate{{make_handle(Kind::stream, 1, 0)}, 0, 0});
  worker.post(kMine, ops::StreamCreate{{make_handle(Kind::stream, 1, 0)}, 0, 0});
  CHECK(worker.end() == End::violation);
  CHECK(fake::state().streams_created == 1);
}

TEST_CASE("a sticky error is published, and answers whoever waits") {
  BusyWorker worker;
  worker.start_work(worker.allocate());
  const uint32_t mine = worker.send(kMine, ops::ContextSynchronize{});
  const uint32_t other = worker.send(kOther, ops::StreamSynchronize{{kLegacy}});
  CHECK(worker.call(kOther + 1, ops::DriverFacts{}).result == CUDA_SUCCESS);
  fake::state().failure = CUDA_ERROR_ILLEGAL_ADDRESS;
  CHECK(worker.wait(kMine, mine).result == CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK(worker.wait(kOther, other).result == CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK(worker.end() == End::gpu_fault);
  CHECK(worker.sticky_error() == CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_CASE("the session ends with its client") {
  // The destructor says that the client has ended, and joins the thread.
  const RunningWorker worker;
  SUCCEED();
}
