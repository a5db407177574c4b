// Which calls wait for running work, and whom they hold up meanwhile: as measured on the real driver.
#include <chrono>
#include <future>

#include "tests/unit/sim/driver_fixture.hpp"

using namespace vgpu::sim::test;

namespace {

using namespace std::chrono_literals;

/// Calls on another thread, with the context current there.
template <typename Body>
std::future<CUresult> elsewhere(CUcontext context, Body body) {
  return std::async(std::launch::async, [=] {
    driver().cuCtxSetCurrent(context);
    return body();
  });
}

/// Time in which a call that blocks cannot have returned by itself: the kernel it waits for runs until told to end.
constexpr auto a_while = 50ms;

bool has_returned(const std::future<CUresult>& call) { return call.wait_for(a_while) == std::future_status::ready; }

}  // namespace

TEST_CASE("freeing memory waits for the context, and holds up launches") {
  const DriverContext context;
  const TestModule module;
  const CUfunction nothing = module.function("nothing");
  const CUstream busy = new_stream(), other = new_stream();
  const CUdeviceptr memory = allocate(1024);
  Spin spin(module, busy);
  spin.await_start();
  auto freeing = elsewhere(context.handle, [=] { return driver().cuMemFree_v2(memory); });
  CHECK_FALSE(has_returned(freeing));
  auto launching = elsewhere(context.handle, [=] { return launch(nothing, other, 1, 1); });
  auto allocating = elsewhere(context.handle, [=] {
    CUdeviceptr address = 0;
    return driver().cuMemAlloc_v2(&address, 64);
  });
  CHECK_FALSE(has_returned(launching));
  CHECK_FALSE(has_returned(allocating));
  CHECK(driver().cuStreamQuery(busy) == CUDA_ERROR_NOT_READY);
  spin.release();
  CHECK(freeing.get() == CUDA_SUCCESS);
  CHECK(launching.get() == CUDA_SUCCESS);
  CHECK(allocating.get() == CUDA_SUCCESS);
}

TEST_CASE("allocation, stream-ordered frees and events do not wait for running work") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUstream busy = new_stream(), other = new_stream();
  Spin spin(module, busy);
  spin.await_start();
  CUdeviceptr address = 0;
  CHECK(cu.cuMemAlloc_v2(&address, 1024) == CUDA_SUCCESS);
  CHECK(cu.cuMemAllocAsync(&address, 1024, other) == CUDA_SUCCESS);
  CHECK(cu.cuMemFreeAsync(address, other) == CUDA_SUCCESS);
  CHECK(cu.cuMemsetD8Async(allocate(16), 1, 16, other) == CUDA_SUCCESS);
  CHECK(cu.cuStreamSynchronize(other) == CUDA_SUCCESS);
  CHECK(cu.cuStreamQuery(busy) == CUDA_ERROR_NOT_READY);
}

TEST_CASE("loading a module waits for the context") {
  const DriverContext context;
  const TestModule module;
  Spin spin(module, new_stream());
  spin.await_start();
  auto loading = elsewhere(context.handle, [] {
    CUmodule other = nullptr;
    return driver().cuModuleLoadData(&other, test_kernels);
  });
  CHECK_FALSE(has_returned(loading));
  spin.release();
  CHECK(loading.get() == CUDA_SUCCESS);
}

TEST_CASE("a library loads without waiting; its first kernel waits") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  Spin spin(module, new_stream());
  spin.await_start();
  CUlibrary library = nullptr;
  CUkernel kernel = nullptr;
  REQUIRE(cu.cuLibraryLoadData(&library, test_kernels, nullptr, nullptr, 0, nullptr, nullptr, 0) == CUDA_SUCCESS);
  REQUIRE(cu.cuLibraryGetKernel(&kernel, library, "nothing") == CUDA_SUCCESS);
  const CUstream other = new_stream();
  auto first = elsewhere(context.handle, [=] { return launch(reinterpret_cast<CUfunction>(kernel), other, 1, 1); });
  CHECK_FALSE(has_returned(first));
  spin.release();
  CHECK(first.get() == CUDA_SUCCESS);
  CHECK(cu.cuLibraryUnload(library) == CUDA_SUCCESS);
}

TEST_CASE("an asynchronous copy to pageable memory waits for its stream only") {
  const DriverContext context;
  const TestModule module;
  const CUfunction nothing = module.function("nothing");
  const CUstream busy = new_stream(), other = new_stream();
  const CUdeviceptr word = allocate(4);
  Spin spin(module, busy);
  spin.await_start();
  unsigned pageable = 0;
  auto copying =
      elsewhere(context.handle, [&, busy, word] { return driver().cuMemcpyDtoHAsync_v2(&pageable, word, 4, busy); });
  CHECK_FALSE(has_returned(copying));
  CHECK(launch(nothing, other, 1, 1) == CUDA_SUCCESS);
  auto same_stream = elsewhere(context.handle, [=] { return launch(nothing, busy, 1, 1); });
  CHECK_FALSE(has_returned(same_stream));
  spin.release();
  CHECK(copying.get() == CUDA_SUCCESS);
  CHECK(same_stream.get() == CUDA_SUCCESS);
}

TEST_CASE("pinned copies read their source when the stream gets there; pageable ones at the call") {
  const DriverContext context;
  const DriverTable& cu = driver();
  const TestModule module;
  const CUstream stream = new_stream();
  const CUdeviceptr words = allocate(8);
  PinnedWords pinned(1);
  unsigned pageable = 1;
  pinned.store(0, 1);
  Spin spin(module, stream);
  CHECK(cu.cuMemcpyHtoDAsync_v2(words, pinned.data(), 4, stream) == CUDA_SUCCESS);
  CHECK(cu.cuMemcpyHtoDAsync_v2(words + 4, &pageable, 4, stream) == CUDA_SUCCESS);
  pinned.store(0, 2);
  pageable = 2;
  spin.release();
  CHECK(cu.cuStreamSynchronize(stream) == CUDA_SUCCESS);
  unsigned found[2] = {};
  CHECK(cu.cuMemcpyDtoH_v2(found, words, 8) == CUDA_SUCCESS);
  CHECK(found[0] == 2);
  CHECK(found[1] == 1);
}

TEST_CASE("a stream's queue holds 1021 commands behind a running kernel") {
  const DriverContext context;
  const TestModule module;
  const CUfunction nothing = module.function("nothing");
  const CUstream busy = new_stream(), other = new_stream();
  CUevent event = nullptr;
  REQUIRE(driver().cuEventCreate(&event, 0) == CUDA_SUCCESS);
  Spin spin(module, busy);
  spin.await_start();
  for (int i = 0; i < 1021; ++i) REQUIRE(launch(nothing, busy, 1, 1) == CUDA_SUCCESS);
  CHECK(driver().cuEventRecord(event, busy) == CUDA_SUCCESS);
  auto one_more = elsewhere(context.handle, [=] { return launch(nothing, busy, 1, 1); });
  CHECK_FALSE(has_returned(one_more));
  CHECK(launch(nothing, other, 1, 1) == CUDA_SUCCESS);
  auto creating = elsewhere(context.handle, [] {
    CUevent created = nullptr;
    return driver().cuEventCreate(&created, 0);
  });
  CHECK_FALSE(has_returned(creating));
  spin.release();
  CHECK(one_more.get() == CUDA_SUCCESS);
  CHECK(creating.get() == CUDA_SUCCESS);
  CHECK(driver().cuStreamSynchronize(busy) == CUDA_SUCCESS);
}
