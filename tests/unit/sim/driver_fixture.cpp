#include "tests/unit/sim/driver_fixture.hpp"

#include <dlfcn.h>

#include <stdexcept>
#include <thread>

namespace vgpu::sim::test {

const DriverTable& driver() {
  static const DriverTable* const table = [] {
    void* library = ::dlopen(VGPU_SIMCUDA_PATH, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    auto* functions = new DriverTable;
    for_each_function(*functions, [&](const char* name, void** slot) { *slot = ::dlsym(library, name); });
    if (functions->cuInit(0) != CUDA_SUCCESS) throw std::runtime_error("cuInit failed");
    return functions;
  }();
  return *table;
}

DriverContext::DriverContext() { REQUIRE(driver().cuCtxCreate_v2(&handle, 0, 0) == CUDA_SUCCESS); }
DriverContext::~DriverContext() { driver().cuCtxDestroy_v2(handle); }

const char* const test_kernels = R"(
.version 9.0
.target sm_90
.address_size 64

.global .align 4 .u32 counter = 7;

// add_one(pointer): adds 1 to one word.
.visible .entry add_one(.param .u64 at)
{
  .reg .b32 %r<3>;
  .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [at];
  ld.global.u32 %r1, [%rd1];
  add.u32 %r2, %r1, 1;
  st.global.u32 [%rd1], %r2;
  ret;
}

// store(pointer, value)
.visible .entry store(.param .u64 at, .param .u32 value)
{
  .reg .b32 %r<2>;
  .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [at];
  ld.param.u32 %r1, [value];
  st.global.u32 [%rd1], %r1;
  ret;
}

// spin(word, started): sets *started, then waits until *word is not 0.
.visible .entry spin(.param .u64 word, .param .u64 started)
{
  .reg .pred %p<2>;
  .reg .b32 %r<2>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [word];
  ld.param.u64 %rd2, [started];
  st.volatile.global.u32 [%rd2], 1;
again:
  ld.volatile.global.u32 %r1, [%rd1];
  setp.eq.u32 %p1, %r1, 0;
  @%p1 bra again;
  ret;
}

// copy_word(to, from)
.visible .entry copy_word(.param .u64 to, .param .u64 from)
{
  .reg .b32 %r<2>;
  .reg .b64 %rd<3>;
  ld.param.u64 %rd1, [to];
  ld.param.u64 %rd2, [from];
  ld.global.u32 %r1, [%rd2];
  st.global.u32 [%rd1], %r1;
  ret;
}

.visible .entry nothing()
{
  ret;
}
)";

TestModule::TestModule() { REQUIRE(driver().cuModuleLoadData(&module_, test_kernels) == CUDA_SUCCESS); }

CUfunction TestModule::function(const char* name) const {
  CUfunction found = nullptr;
  REQUIRE(driver().cuModuleGetFunction(&found, module_, name) == CUDA_SUCCESS);
  return found;
}

PinnedWords::PinnedWords(std::size_t count) {
  void* at = nullptr;
  REQUIRE(driver().cuMemHostAlloc(&at, count * sizeof(unsigned), 0) == CUDA_SUCCESS);
  words_ = static_cast<unsigned*>(at);  // given back with the context
}

Spin::Spin(const TestModule& module, CUstream stream) {
  REQUIRE(launch(module.function("spin"), stream, 1, 1, words_.address(0), words_.address(1)) == CUDA_SUCCESS);
}

void Spin::await_start() const {
  while (words_.load(1) == 0) std::this_thread::yield();
}

CUstream new_stream(unsigned flags) {
  CUstream stream = nullptr;
  REQUIRE(driver().cuStreamCreate(&stream, flags) == CUDA_SUCCESS);
  return stream;
}

CUdeviceptr allocate(std::size_t bytes) {
  CUdeviceptr address = 0;
  REQUIRE(driver().cuMemAlloc_v2(&address, bytes) == CUDA_SUCCESS);
  return address;
}

}  // namespace vgpu::sim::test
