// The rules of docs (experiments, E8): which calls a capture forbids, and to whom.
#include "shim/client/capture_state.hpp"

#include <catch2/catch.hpp>
#include <thread>

#include "shim/client/handles.hpp"

using namespace vgpu::cuda;
using vgpu::shim::refuse_if_capturing;
namespace capture = vgpu::shim::capture;

namespace {

constexpr uint64_t kStream = 0x600000100000;

/// A capture of this thread's, for one test.
struct Open {
  explicit Open(CUstreamCaptureMode mode) { capture::began(kStream, nullptr, mode, 7); }
  ~Open() { capture::forget_stream(kStream); }
};

template <typename Ask>
CUresult in_another_thread(CUstreamCaptureMode thread_mode, Ask ask) {
  CUresult result = CUDA_SUCCESS;
  std::thread([&] {
    capture::exchange_thread_mode(thread_mode);
    result = ask();
  }).join();
  return result;
}

CUresult unsafe_call() { return refuse_if_capturing(); }
CUresult wide_call() { return refuse_if_capturing(capture::Unsafe::context_wide); }

bool survives() {
  CUstreamCaptureStatus status = 0;
  uint64_t id = 0;
  return capture::status_of(kStream, status, id) && status == CU_STREAM_CAPTURE_STATUS_ACTIVE;
}

}  // namespace

TEST_CASE("without a capture nothing is refused") {
  CHECK(unsafe_call() == CUDA_SUCCESS);
  CHECK(wide_call() == CUDA_SUCCESS);
}

TEST_CASE("a global capture is lost to unsafe calls of every thread that is not careful") {
  const Open open(CU_STREAM_CAPTURE_MODE_GLOBAL);
  SECTION("another thread in global mode") {
    CHECK(in_another_thread(CU_STREAM_CAPTURE_MODE_GLOBAL, unsafe_call) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CHECK_FALSE(survives());
    CHECK(capture::is_invalidated(7));
  }
  SECTION("another thread in thread-local or relaxed mode") {
    CHECK(in_another_thread(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL, unsafe_call) == CUDA_SUCCESS);
    CHECK(in_another_thread(CU_STREAM_CAPTURE_MODE_RELAXED, unsafe_call) == CUDA_SUCCESS);
    CHECK(survives());
  }
  SECTION("the capturing thread itself") {
    CHECK(unsafe_call() == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    CHECK_FALSE(survives());
  }
  SECTION("the capturing thread in relaxed mode") {
    const auto before = capture::exchange_thread_mode(CU_STREAM_CAPTURE_MODE_RELAXED);
    CHECK(unsafe_call() == CUDA_SUCCESS);
    capture::exchange_thread_mode(before);
    CHECK(survives());
  }
}

TEST_CASE("a thread-local capture concerns its own thread only") {
  const Open open(CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  CHECK(in_another_thread(CU_STREAM_CAPTURE_MODE_GLOBAL, unsafe_call) == CUDA_SUCCESS);
  CHECK(survives());
  CHECK(unsafe_call() == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK_FALSE(survives());
}

TEST_CASE("a relaxed capture bears everything but calls on the whole context") {
  const Open open(CU_STREAM_CAPTURE_MODE_RELAXED);
  CHECK(unsafe_call() == CUDA_SUCCESS);
  CHECK(survives());
  CHECK(in_another_thread(CU_STREAM_CAPTURE_MODE_RELAXED, wide_call) == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  CHECK_FALSE(survives());
}

TEST_CASE("only the thread that began a capture may end it, unless it is relaxed") {
  const auto may_end = [] { return capture::check_may_end(kStream); };
  {
    const Open open(CU_STREAM_CAPTURE_MODE_GLOBAL);
    CHECK(may_end() == CUDA_SUCCESS);
    CHECK(in_another_thread(CU_STREAM_CAPTURE_MODE_GLOBAL, may_end) == CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD);
  }
  const Open open(CU_STREAM_CAPTURE_MODE_RELAXED);
  CHECK(in_another_thread(CU_STREAM_CAPTURE_MODE_GLOBAL, may_end) == CUDA_SUCCESS);
}

TEST_CASE("ending a capture tells whether it was lost") {
  capture::began(kStream, nullptr, CU_STREAM_CAPTURE_MODE_GLOBAL, 8);
  CHECK(unsafe_call() == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  const capture::Ended how = capture::ended(kStream);
  CHECK(how.known);
  CHECK(how.invalidated);
  CHECK_FALSE(capture::ended(kStream).known);
  CHECK(unsafe_call() == CUDA_SUCCESS);
}

TEST_CASE("the graph of a capture has one handle, which its end hands over") {
  capture::began(kStream, nullptr, CU_STREAM_CAPTURE_MODE_RELAXED, 9);
  CHECK(capture::graph_of(10) == 0);
  const uint64_t graph = capture::graph_of(9);
  CHECK(vgpu::wire::kind_of(graph) == vgpu::wire::Kind::graph);
  CHECK(capture::graph_of(9) == graph);
  CHECK(capture::ended(kStream).graph == graph);
  CHECK(capture::graph_of(9) == 0);
  vgpu::shim::handles(vgpu::wire::Kind::graph).discard(graph);
}

TEST_CASE("a capture that goes with its stream gives the handle back") {
  capture::began(kStream, nullptr, CU_STREAM_CAPTURE_MODE_RELAXED, 11);
  const uint64_t graph = capture::graph_of(11);
  capture::forget_stream(kStream);
  const uint64_t next = vgpu::shim::handles(vgpu::wire::Kind::graph).make();
  CHECK(vgpu::wire::index_of(next) == vgpu::wire::index_of(graph));
  CHECK(next != graph);
  vgpu::shim::handles(vgpu::wire::Kind::graph).discard(next);
}
