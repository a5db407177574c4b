// A client that wants too much, or what cannot be: refused, or cut off, with nothing lost.
#include <catch2/catch.hpp>
#include <cstring>

#include "running_worker.hpp"
#include "worker/objects/limits.hpp"

using namespace vgpu::cuda;
using namespace vgpu::worker;
namespace ops = vgpu::api::ops;
using vgpu::wire::Kind;
using vgpu::wire::make_handle;

namespace {

constexpr uint32_t kMine = 3;
constexpr uint32_t kOther = 900;
const uint64_t kContext = make_handle(Kind::context, 1, 0);
const uint64_t kStream = make_handle(Kind::stream, 1, 0);
const uint64_t kEvent = make_handle(Kind::event, 1, 0);

struct Worker : RunningWorker {
  Worker() {
    REQUIRE(call(kMine, ops::ContextCreate{.device = 0, .flags = 0, .id = {kContext}}).result == CUDA_SUCCESS);
    context = kContext;
    REQUIRE(call(kMine, ops::StreamCreate{{kStream}, 1, 0}).result == CUDA_SUCCESS);
  }
  uint64_t allocate() {
    const Answer answer = call(kMine, ops::MemoryAlloc{1 << 20});
    REQUIRE(answer.result == CUDA_SUCCESS);
    ops::MemoryAllocReply reply;
    vgpu::wire::Reader in(answer.data);
    REQUIRE(reply.decode(in));
    return reply.address;
  }
  void start_work(uint64_t memory, uint64_t stream) {
    fake::state().finished = false;
    REQUIRE(call(kMine, ops::CopyOnDeviceSync{memory, memory, 64, {stream}}).result == CUDA_SUCCESS);
  }
  uint32_t begin_capture() { return call(kMine, ops::StreamBeginCapture{{kStream}, 2}).result; }
  uint32_t end_capture(uint32_t index) {
    return call(kMine, ops::StreamEndCapture{{kStream}, {make_handle(Kind::graph, 1, index)}}).result;
  }
  uint32_t instantiate(uint32_t index) {
    return call(kMine,
                ops::GraphInstantiate{{make_handle(Kind::graph, 1, index)}, {make_handle(Kind::exec, 1, index)}, 0})
        .result;
  }
  uint32_t launch(uint32_t index) {
    return call(kMine, ops::GraphLaunch{{make_handle(Kind::exec, 1, index)}, {kStream}}).result;
  }
};

}  // namespace

TEST_CASE("no context is no context, also before there was one") {
  RunningWorker worker;
  CHECK(worker.call(kMine, ops::StreamSynchronize{{1}}).result == CUDA_ERROR_INVALID_CONTEXT);
  CHECK(worker.call(kMine, ops::ContextSynchronize{}).result == CUDA_ERROR_INVALID_CONTEXT);
}

TEST_CASE("a slot has one call at a time") {
  Worker worker;
  worker.start_work(worker.allocate(), kStream);
  worker.send(kOther, ops::StreamSynchronize{{kStream}});
  SECTION("a posted record in between is fine") {
    worker.post(kOther, ops::EventCreate{{kEvent}, 0});
    CHECK(worker.call(kMine, ops::DriverFacts{}).result == CUDA_SUCCESS);
  }
  SECTION("a second call is not") {
    worker.send(kOther, ops::DriverFacts{});
    CHECK(worker.end() == End::violation);
  }
}

TEST_CASE("a handle beyond the limit is out of memory, and takes none") {
  Worker worker;
  CHECK(worker.call(kMine, ops::StreamCreate{{make_handle(Kind::stream, 1, kMostStreams)}, 0, 0}).result ==
        CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(fake::state().streams_created == 1);
  CHECK(worker.call(kMine, ops::StreamCreate{{make_handle(Kind::stream, 1, kMostStreams - 1)}, 0, 0}).result ==
        CUDA_SUCCESS);
  CHECK(worker.call(kMine, ops::StreamCreate{{make_handle(Kind::event, 1, 1)}, 0, 0}).result != CUDA_SUCCESS);
  CHECK(worker.end() == End::violation);
}

TEST_CASE("rows that are not there, or lie on top of one another, reach no driver") {
  Worker worker;
  const uint64_t memory = worker.allocate();
  fake::state().set_width = 1;
  CHECK(worker.call(kMine, ops::FillSync{memory, 0, 1, 1, uint64_t{1} << 40, 0, {1}}).result == CUDA_SUCCESS);
  CHECK(fake::state().set_width == 0);
  // Without a pitch the rows follow one another: 2 MiB here, where there is one.
  CHECK(worker.call(kMine, ops::Copy2d{memory, 0, 0, memory, 0, 0, 1 << 20, 2, {1}}).result ==
        CUDA_ERROR_INVALID_VALUE);
  CHECK(worker.call(kMine, ops::Copy2d{memory, 0, 0, memory, 0, 0, 4096, 2, {1}}).result == CUDA_SUCCESS);
  CHECK(fake::state().copy_pitch == 4096);
  CHECK(worker.call(kMine, ops::Copy2d{memory, 0, 64, memory, 0, 64, 4096, 2, {1}}).result == CUDA_ERROR_INVALID_VALUE);
}

TEST_CASE("a mark that cannot be recorded costs no event") {
  Worker worker;
  const uint64_t memory = worker.allocate();
  worker.start_work(memory, kStream);
  fake::state().record_failure = CUDA_ERROR_INVALID_HANDLE;
  for (int i = 0; i < 100; ++i) {
    CHECK(worker.call(kMine, ops::StreamSynchronize{{kStream}}).result == CUDA_ERROR_INVALID_HANDLE);
    CHECK(worker.call(kMine, ops::StagingMark{VGPU_HEAP_OFFSET, 1, {kStream}}).result == CUDA_ERROR_INVALID_HANDLE);
    CHECK(worker.call(kMine, ops::CopyToHostInlineWait{memory, 8, {kStream}}).result == CUDA_ERROR_INVALID_HANDLE);
    CHECK(worker.call(kMine, ops::StreamCredit{{kStream}}).result == CUDA_SUCCESS);
  }
  CHECK(fake::state().events_created <= 2);
}

TEST_CASE("a wait for which the driver gives no event is answered with its reason") {
  Worker worker;
  worker.start_work(worker.allocate(), kStream);
  fake::state().create_failure = CUDA_ERROR_ILLEGAL_ADDRESS;
  CHECK(worker.call(kMine, ops::StreamSynchronize{{kStream}}).result == CUDA_ERROR_ILLEGAL_ADDRESS);
  CHECK(worker.end() == End::gpu_fault);
}

TEST_CASE("who waits for an event is answered when its context goes") {
  Worker worker;
  const uint64_t second = make_handle(Kind::context, 1, 1);
  REQUIRE(worker.call(kMine, ops::ContextCreate{0, 0, {second}}).result == CUDA_SUCCESS);
  worker.context = second;
  REQUIRE(worker.call(kMine, ops::EventCreate{{kEvent}, 0}).result == CUDA_SUCCESS);
  fake::state().finished = false;
  const uint32_t waiting = worker.send(kOther, ops::EventSynchronize{{kEvent}});
  worker.context = kContext;
  CHECK(worker.call(kMine, ops::ContextDestroy{{second}}).result == CUDA_SUCCESS);
  CHECK(worker.wait(kOther, waiting).result == CUDA_ERROR_CONTEXT_IS_DESTROYED);
}

TEST_CASE("a capture that grows too large can only be ended, and a client's graphs stay bounded") {
  Worker worker;
  fake::state().graph_nodes = kMostNodesOfGraph;
  const uint64_t memory = worker.allocate();
  REQUIRE(worker.begin_capture() == CUDA_SUCCESS);
  REQUIRE(worker.end_capture(0) == CUDA_SUCCESS);
  REQUIRE(worker.instantiate(0) == CUDA_SUCCESS);

  fake::state().graph_nodes = 1;
  REQUIRE(worker.begin_capture() == CUDA_SUCCESS);
  CHECK(worker.launch(0) == CUDA_SUCCESS);
  const ops::CopyOnDeviceSync copy{memory, memory, 64, {kStream}};
  CHECK(worker.call(kMine, copy).result == CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(worker.launch(0) == CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(worker.end_capture(1) == CUDA_SUCCESS);
  CHECK(worker.call(kMine, copy).result == CUDA_SUCCESS);
  // Three graphs of the largest size are there, executable ones included; so many more fit, one of them not as a whole.
  constexpr uint32_t kRoom = kMostNodes / kMostNodesOfGraph - 3;
  for (uint32_t i = 2; i < 2 + kRoom - 1; ++i) {
    const ops::GraphInstantiate again{{make_handle(Kind::graph, 1, 0)}, {make_handle(Kind::exec, 1, i)}, 0};
    CHECK(worker.call(kMine, again).result == CUDA_SUCCESS);
  }
  CHECK(worker.instantiate(1) == CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(worker.call(kMine, ops::GraphDestroy{{make_handle(Kind::graph, 1, 0)}}).result == CUDA_SUCCESS);
  CHECK(worker.instantiate(1) == CUDA_SUCCESS);
}

TEST_CASE("a capture that went with its stream holds nothing up") {
  Worker worker;
  REQUIRE(worker.begin_capture() == CUDA_SUCCESS);
  REQUIRE(worker.call(kMine, ops::StreamDestroy{{kStream}}).result == CUDA_SUCCESS);
  const uint64_t memory = worker.allocate();
  worker.start_work(memory, 1);
  const uint32_t freeing = worker.send(kMine, ops::MemoryFree{memory});
  CHECK(worker.call(kOther, ops::DriverFacts{}).result == CUDA_SUCCESS);
  CHECK_FALSE(worker.is_answered(kMine, freeing));  // parked, as without any capture
  fake::state().finished = true;
  CHECK(worker.wait(kMine, freeing).result == CUDA_SUCCESS);
}

TEST_CASE("memory that cannot be had is an error, anything else thrown an orderly end") {
  Worker worker;
  CHECK(worker.call(kMine, ops::MemoryAlloc{fake::kThrowsBadAlloc}).result == CUDA_ERROR_OUT_OF_MEMORY);
  CHECK(worker.call(kMine, ops::DriverFacts{}).result == CUDA_SUCCESS);
  worker.send(kMine, ops::MemoryAlloc{fake::kThrows});
  CHECK(worker.end() == End::internal);
}

TEST_CASE("an image whose sizes lie does not reach the driver, nor does a pointer in one") {
  Worker worker;
  uint8_t image[64] = {};
  const uint32_t fatbin[] = {0xba55ed50, 0x00100001, 0xffffffff, 0x7fffffff};
  const uint64_t wrapper[] = {0x1466243b1, 0x41414141};
  const bool bare = GENERATE(true, false);
  std::memcpy(image, bare ? static_cast<const void*>(fatbin) : wrapper, 16);
  worker.window().copy_in(VGPU_HEAP_OFFSET, image);
  const uint64_t module = make_handle(Kind::module, 1, 0), library = make_handle(Kind::library, 1, 0);
  CHECK(worker.call(kMine, ops::ModuleLoad{.id = {module}, .offset = VGPU_HEAP_OFFSET, .size = 64}).result ==
        CUDA_ERROR_INVALID_IMAGE);
  CHECK(fake::state().images_loaded == 0);
  // A library is made all the same, and refused at its first use: the driver sees something that is nothing.
  CHECK(worker.call(kMine, ops::LibraryLoad{.id = {library}, .offset = VGPU_HEAP_OFFSET, .size = 64}).result ==
        CUDA_SUCCESS);
  CHECK(fake::state().library_begins_with == 0x80);
}

TEST_CASE("a worker that is never idle sees all the same that its client has ended") {
  Worker worker;
  std::atomic<bool> ended{false};
  std::thread flood([&] {
    while (!ended) {
      try {
        worker.post(kMine, ops::StreamDestroy{{make_handle(Kind::stream, 1, 77)}});
      } catch (const std::runtime_error&) {
        std::this_thread::yield();  // the ring is full
      }
    }
  });
  worker.end_client();
  CHECK(worker.end() == End::client_gone);
  ended = true;
  flood.join();
}
