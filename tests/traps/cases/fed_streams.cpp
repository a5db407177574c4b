// SPDX-License-Identifier: Apache-2.0
// Waits beside a thread that goes on feeding: what was submitted before ends the wait, however much comes after.
#include "tests/conformance/harness/registry.hpp"
#include "tests/traps/support/crew.hpp"

namespace traps {
namespace {

/// Feeds a stream with small kernels until it is told to stop.
class Feeder {
 public:
  Feeder(const Context& context, CUstream stream) {
    crew_.add(context, "feeding", [this, stream, noop = module_.function("noop")] {
      stands_at("feeding a stream");
      while (!stopped_) {
        launch(noop, {}, {}, stream);
        ++launched_;
      }
    });
    wait_until([this] { return launched_ > 100 || crew_.has_failed(); }, "the feeding to begin");
  }
  /// Fails the case if the feeding failed, or stopped by itself.
  void stop() {
    const int before = launched_;
    wait_until([&] { return launched_ > before || crew_.has_failed(); }, "the feeding to go on");
    stopped_ = true;
    crew_.join();
  }
  ~Feeder() { stopped_ = true; }

 private:
  const Module module_;
  std::atomic<bool> stopped_{false};
  std::atomic<int> launched_{0};
  Crew crew_;
};

void wait_beside_feeding(const Context& context, CUstream fed, const char* what, const std::function<void()>& wait) {
  Feeder feeder(context, fed);
  stands_at(what);
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) wait();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
  stands_at("stopping the feeding");
  feeder.stop();
  expect_ok(CU(cuCtxSynchronize));
  require(taken < kPatience / 2, std::string(what) + " returns while the stream is fed");
}

CASE(fed, stream) {
  const Context context;
  const Stream stream;
  wait_beside_feeding(context, stream, "cuStreamSynchronize", [&] { stream.synchronize(); });
}
CASE(fed, legacy_stream) {
  const Context context;
  wait_beside_feeding(context, nullptr, "cuStreamSynchronize(0)", [] { expect_ok(CU(cuStreamSynchronize, nullptr)); });
}
CASE(fed, blocking_stream_and_a_wait_for_the_legacy_one) {
  const Context context;
  const Stream stream(CU_STREAM_DEFAULT);
  wait_beside_feeding(context, stream, "cuStreamSynchronize(0)", [] { expect_ok(CU(cuStreamSynchronize, nullptr)); });
}
CASE(fed, event) {
  const Context context;
  const Stream stream;
  const Event event;
  wait_beside_feeding(context, stream, "cuEventSynchronize", [&] {
    expect_ok(CU(cuEventRecord, event, stream));
    expect_ok(CU(cuEventSynchronize, event));
  });
}
CASE(fed, context) {
  const Context context;
  const Stream stream;
  wait_beside_feeding(context, stream, "cuCtxSynchronize", [] { expect_ok(CU(cuCtxSynchronize)); });
}
CASE(fed, copies) {
  const Context context;
  const DeviceMemory memory(4);
  uint32_t i = 0;
  wait_beside_feeding(context, nullptr, "synchronous copies", [&] {
    memory.write_word(++i);
    expect_equal(memory.word(), i, "the word");
  });
}
CASE(fed, frees) {
  const Context context;
  const Stream stream;
  wait_beside_feeding(context, stream, "cuMemFree and cuMemFreeHost", [] {
    const DeviceMemory memory(4096);
    const PinnedMemory pinned(4096);
  });
}
CASE(fed, pages_registered) {
  const Context context;
  const Stream stream;
  std::vector<uint8_t> pages(1 << 16);
  wait_beside_feeding(context, stream, "cuMemHostUnregister", [&] {
    expect_ok(CU(cuMemHostRegister_v2, pages.data(), pages.size(), 0));
    expect_ok(CU(cuMemHostUnregister, pages.data()));
  });
}
CASE(fed, modules) {
  const Context context;
  const Stream stream;
  wait_beside_feeding(context, stream, "cuModuleLoadData and cuModuleUnload", [] { const Module module(kNoop); });
}
CASE(fed, first_launches_of_library_kernels) {
  const Context context;
  const Stream stream;
  wait_beside_feeding(context, stream, "the first launch of a library's kernel", [&] {
    const Library library(kNoop);
    launch(reinterpret_cast<CUfunction>(library.kernel("noop")), {}, {}, nullptr);
    expect_ok(CU(cuStreamSynchronize, nullptr));
  });
}

}  // namespace
}  // namespace traps
