// Stream capture: what becomes of it, and which calls it does not survive.
#include <thread>

#include "tests/unit/sim/driver_fixture.hpp"

using namespace vgpu::sim::test;

namespace {

/// The capture mode of the calling thread, for the time of a test.
class ThreadMode {
 public:
  explicit ThreadMode(CUstreamCaptureMode mode) : before_(mode) {
    driver().cuThreadExchangeStreamCaptureMode(&before_);
  }
  ThreadMode(const ThreadMode&) = delete;
  ThreadMode& operator=(const ThreadMode&) = delete;
  ~ThreadMode() { driver().cuThreadExchangeStreamCaptureMode(&before_); }

 private:
  CUstreamCaptureMode before_;
};

/// An unsafe call and a conflicting one, as a thread of that mode makes them.
CUresult allocate_in(CUcontext context, CUstreamCaptureMode mode) {
  CUresult result = CUDA_SUCCESS;
  std::thread([&] {
    driver().cuCtxSetCurrent(context);
    const ThreadMode scope(mode);
    CUdeviceptr address = 0;
    result = driver().cuMemAlloc_v2(&address, 64);
  }).join();
  return result;
}

CUresult end_capture(CUstream stream) {
  CUgraph graph = nullptr;
  return driver().cuStreamEndCapture(stream, &graph);
}

}  // namespace

TEST_CASE("a captured chain runs when its graph is launched, and not before") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUstream stream = new_stream();
  const CUdeviceptr word = allocate(4);
  CHECK(cu.cuMemsetD32_v2(word, 0, 1) == CUDA_SUCCESS);
  REQUIRE(cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
  CHECK(launch(module.function("store"), stream, 1, 1, word, 5u) == CUDA_SUCCESS);
  for (int i = 0; i < 3; ++i) CHECK(launch(module.function("add_one"), stream, 1, 1, word) == CUDA_SUCCESS);
  CUgraph graph = nullptr;
  REQUIRE(cu.cuStreamEndCapture(stream, &graph) == CUDA_SUCCESS);
  std::size_t count = 0;
  CHECK(cu.cuGraphGetNodes(graph, nullptr, &count) == CUDA_SUCCESS);
  CHECK(count == 4);
  CHECK(cu.cuGraphGetRootNodes(graph, nullptr, &count) == CUDA_SUCCESS);
  CHECK(count == 1);
  unsigned value = 1;
  CHECK(cu.cuMemcpyDtoH_v2(&value, word, 4) == CUDA_SUCCESS);
  CHECK(value == 0);
  CUgraphExec exec = nullptr;
  REQUIRE(cu.cuGraphInstantiateWithFlags(&exec, graph, 0) == CUDA_SUCCESS);
  CHECK(cu.cuGraphDestroy(graph) == CUDA_SUCCESS);
  CHECK(cu.cuGraphLaunch(exec, stream) == CUDA_SUCCESS);
  CHECK(cu.cuGraphLaunch(exec, stream) == CUDA_SUCCESS);
  CHECK(cu.cuStreamSynchronize(stream) == CUDA_SUCCESS);
  CHECK(cu.cuMemcpyDtoH_v2(&value, word, 4) == CUDA_SUCCESS);
  CHECK(value == 8);
  CHECK(cu.cuGraphExecDestroy(exec) == CUDA_SUCCESS);
  CHECK(cu.cuGraphExecDestroy(exec) == CUDA_ERROR_INVALID_HANDLE);
}

TEST_CASE("events join a second stream to the capture; it must come back") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUstream first = new_stream(), second = new_stream();
  const CUdeviceptr words = allocate(8);
  CUevent fork = nullptr, join = nullptr;
  REQUIRE(cu.cuEventCreate(&fork, 0) == CUDA_SUCCESS);
  REQUIRE(cu.cuEventCreate(&join, 0) == CUDA_SUCCESS);
  for (const bool joins : {true, false}) {
    REQUIRE(cu.cuStreamBeginCapture_v2(first, CU_STREAM_CAPTURE_MODE_RELAXED) == CUDA_SUCCESS);
    CHECK(launch(module.function("store"), first, 1, 1, words, 1u) == CUDA_SUCCESS);
    CHECK(cu.cuEventRecord(fork, first) == CUDA_SUCCESS);
    CHECK(cu.cuStreamWaitEvent(second, fork, 0) == CUDA_SUCCESS);
    CUstreamCaptureStatus status = 0;
    CHECK(cu.cuStreamIsCapturing(second, &status) == CUDA_SUCCESS);
    CHECK(status == CU_STREAM_CAPTURE_STATUS_ACTIVE);
    CHECK(launch(module.function("store"), second, 1, 1, words + 4, 2u) == CUDA_SUCCESS);
    CHECK(cu.cuEventRecord(join, second) == CUDA_SUCCESS);
    if (joins) CHECK(cu.cuStreamWaitEvent(first, join, 0) == CUDA_SUCCESS);
    CHECK(end_capture(first) == (joins ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNJOINED));
    CHECK(cu.cuStreamIsCapturing(second, &status) == CUDA_SUCCESS);
    CHECK(status == CU_STREAM_CAPTURE_STATUS_NONE);
  }
}

TEST_CASE("unsafe calls: the modes of capture and thread decide") {
  const DriverContext context;
  const CUstream stream = new_stream();
  constexpr auto global = CU_STREAM_CAPTURE_MODE_GLOBAL, local = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL,
                 relaxed = CU_STREAM_CAPTURE_MODE_RELAXED;
  struct Row {
    CUstreamCaptureMode capture, thread;
    bool survives;
  };
  for (const Row& row : {Row{global, global, false}, Row{global, local, true}, Row{global, relaxed, true},
                         Row{local, global, true}, Row{relaxed, global, true}}) {
    REQUIRE(driver().cuStreamBeginCapture_v2(stream, row.capture) == CUDA_SUCCESS);
    CHECK(allocate_in(context.handle, row.thread) ==
          (row.survives ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
    CHECK(end_capture(stream) == (row.survives ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED));
  }
  for (const bool is_relaxed : {false, true}) {
    const ThreadMode mode(is_relaxed ? relaxed : global);
    CUdeviceptr address = 0;
    REQUIRE(driver().cuStreamBeginCapture_v2(stream, global) == CUDA_SUCCESS);
    CHECK(driver().cuMemAlloc_v2(&address, 64) == (is_relaxed ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
    CHECK(end_capture(stream) == (is_relaxed ? CUDA_SUCCESS : CUDA_ERROR_STREAM_CAPTURE_INVALIDATED));
  }
}

TEST_CASE("calls about the whole context end every capture, in every mode") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const CUstream stream = new_stream();
  CUevent event = nullptr;
  REQUIRE(cu.cuEventCreate(&event, 0) == CUDA_SUCCESS);
  const ThreadMode relaxed(CU_STREAM_CAPTURE_MODE_RELAXED);
  for (const CUstreamCaptureMode mode :
       {CU_STREAM_CAPTURE_MODE_GLOBAL, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, CU_STREAM_CAPTURE_MODE_RELAXED}) {
    REQUIRE(cu.cuStreamBeginCapture_v2(stream, mode) == CUDA_SUCCESS);
    CHECK(cu.cuCtxRecordEvent(context.handle, event) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CHECK(end_capture(stream) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
    REQUIRE(cu.cuStreamBeginCapture_v2(stream, mode) == CUDA_SUCCESS);
    CHECK(cu.cuCtxSynchronize() == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CHECK(end_capture(stream) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  }
}

TEST_CASE("the legacy stream and a capture on a blocking stream do not go together") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUfunction nothing = module.function("nothing");
  const CUstream blocking = new_stream(CU_STREAM_DEFAULT), free_running = new_stream();
  CHECK(cu.cuStreamBeginCapture_v2(nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  REQUIRE(cu.cuStreamBeginCapture_v2(blocking, CU_STREAM_CAPTURE_MODE_RELAXED) == CUDA_SUCCESS);
  CHECK(launch(nothing, nullptr, 1, 1) == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
  CHECK(end_capture(blocking) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  REQUIRE(cu.cuStreamBeginCapture_v2(free_running, CU_STREAM_CAPTURE_MODE_RELAXED) == CUDA_SUCCESS);
  CHECK(launch(nothing, nullptr, 1, 1) == CUDA_SUCCESS);
  CHECK(end_capture(free_running) == CUDA_SUCCESS);
}

TEST_CASE("captures end where and by whom they began") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const CUstream stream = new_stream();
  CHECK(end_capture(stream) == CUDA_ERROR_ILLEGAL_STATE);
  REQUIRE(cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
  CHECK(cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_ERROR_ILLEGAL_STATE);
  CUresult elsewhere = CUDA_SUCCESS;
  std::thread([&] {
    cu.cuCtxSetCurrent(context.handle);
    elsewhere = end_capture(stream);
  }).join();
  CHECK(elsewhere == CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
  CHECK(end_capture(stream) == CUDA_ERROR_ILLEGAL_STATE);  // the refused end was one
  CUevent event = nullptr;
  REQUIRE(cu.cuEventCreate(&event, 0) == CUDA_SUCCESS);
  REQUIRE(cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_RELAXED) == CUDA_SUCCESS);
  CHECK(cu.cuEventRecord(event, stream) == CUDA_SUCCESS);
  CHECK(cu.cuEventQuery(event) == CUDA_ERROR_CAPTURED_EVENT);
  CHECK(end_capture(stream) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  REQUIRE(cu.cuStreamBeginCapture_v2(stream, CU_STREAM_CAPTURE_MODE_GLOBAL) == CUDA_SUCCESS);
  CHECK(cu.cuStreamQuery(stream) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK(end_capture(stream) == CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}
