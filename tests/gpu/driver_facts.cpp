// What a real driver does where the worker depends on it and no document says: prints one fact per line.
// Usage: vgpu-driver-facts [libcuda path]. The results stand in docs/design/004-dispatch.md.
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <thread>

#include "common/api/driver.gen.hpp"

using namespace vgpu::cuda;

namespace {

DriverTable cu;

constexpr const char* kKernels = R"(
.version 7.0
.target sm_70
.address_size 64
.extern .func (.param .b32 r) vprintf (.param .b64 f, .param .b64 a);
.global .align 1 .b8 text[7] = {104, 101, 108, 108, 111, 10, 0};
.visible .entry spin(.param .u64 p) {
  .reg .u64 %a; .reg .u32 %v; .reg .pred %q;
  ld.param.u64 %a, [p];
L: ld.volatile.global.u32 %v, [%a];
  setp.eq.u32 %q, %v, 0;
  @%q bra L;
  ret;
}
.visible .entry two(.param .u64 p, .param .u32 v) { ret; }
.visible .entry say() {
  .reg .u64 %a; .reg .u64 %z; .reg .u32 %r;
  mov.u64 %a, text; cvta.global.u64 %a, %a; mov.u64 %z, 0;
  { .param .b64 f; .param .b64 g; .param .b32 r;
    st.param.b64 [f], %a; st.param.b64 [g], %z;
    call.uni (r), vprintf, (f, g); ld.param.b32 %r, [r]; }
  ret;
}
)";

double now_us() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void fact(const char* what, const char* format, auto... values) {
  std::fprintf(stderr, "%s\t", what);
  std::fprintf(stderr, format, values...);
  std::fputc('\n', stderr);
}

struct Rig {
  CUdevice device = 0;
  CUcontext context = nullptr;
  CUmodule module = nullptr;
  CUfunction spin = nullptr, two = nullptr, say = nullptr;
  CUstream stream = nullptr;
  CUevent event = nullptr;
  volatile uint32_t* flag = nullptr;
  CUdeviceptr memory = 0;
};

bool set_up(Rig& rig) {
  return cu.cuInit(0) == 0 && cu.cuDeviceGet(&rig.device, 0) == 0 &&
         cu.cuDevicePrimaryCtxRetain(&rig.context, rig.device) == 0 && cu.cuCtxSetCurrent(rig.context) == 0 &&
         cu.cuModuleLoadData(&rig.module, kKernels) == 0 &&
         cu.cuModuleGetFunction(&rig.spin, rig.module, "spin") == 0 &&
         cu.cuModuleGetFunction(&rig.two, rig.module, "two") == 0 &&
         cu.cuModuleGetFunction(&rig.say, rig.module, "say") == 0 &&
         cu.cuStreamCreate(&rig.stream, CU_STREAM_NON_BLOCKING) == 0 &&
         cu.cuEventCreate(&rig.event, CU_EVENT_DISABLE_TIMING) == 0 &&
         cu.cuMemHostAlloc(
             const_cast<void**>(reinterpret_cast<volatile void**>(const_cast<volatile uint32_t**>(&rig.flag))), 4096,
             3) == 0 &&
         cu.cuMemAlloc_v2(&rig.memory, 1 << 20) == 0;
}

CUresult launch(CUfunction function, CUstream stream, void** arguments) {
  return cu.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, stream, arguments, nullptr);
}

void start_spin(Rig& rig) {
  *rig.flag = 0;
  CUdeviceptr at = reinterpret_cast<CUdeviceptr>(rig.flag);
  void* arguments[] = {&at};
  launch(rig.spin, rig.stream, arguments);
}

/// Which calls wait for a running kernel: each is made once while one spins, which a timer ends after 300 ms.
void under_a_spin(Rig& rig) {
  const auto step = [&](const char* what, const std::function<CUresult()>& call) {
    cu.cuCtxSynchronize();
    start_spin(rig);
    std::thread timer([&] {
      ::usleep(300000);
      *rig.flag = 1;
    });
    const double begin = now_us();
    const CUresult result = call();
    const double took = now_us() - begin;
    timer.join();
    cu.cuCtxSynchronize();
    fact("under a spin", "%s: result %d, %s (%.0f us)", what, result, took > 250000 ? "BLOCKS" : "returns", took);
  };
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  size_t offset = 0, size = 0;
  int value = 0;
  CUstream other = nullptr;
  cu.cuStreamCreate(&other, CU_STREAM_NON_BLOCKING);
  cu.cuModuleLoadData(&module, kKernels);
  step("cuModuleGetFunction", [&] { return cu.cuModuleGetFunction(&function, module, "two"); });
  step("cuFuncGetParamInfo of a function never used",
       [&] { return cu.cuFuncGetParamInfo(function, 0, &offset, &size); });
  cu.cuModuleUnload(module);
  cu.cuModuleLoadData(&module, kKernels);
  cu.cuModuleGetFunction(&function, module, "two");
  step("cuFuncGetAttribute of a function never used",
       [&] { return cu.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function); });
  CUdeviceptr at = rig.memory;
  uint32_t v = 0;
  void* arguments[] = {&at, &v};
  step("first launch of a module's function, other stream", [&] { return launch(function, other, arguments); });
  step("second launch", [&] { return launch(function, other, arguments); });
  step("launch and cuStreamSynchronize, other stream", [&] {
    launch(function, other, arguments);
    return cu.cuStreamSynchronize(other);
  });
  CUlibrary library = nullptr;
  CUkernel kernel = nullptr;
  cu.cuLibraryLoadData(&library, kKernels, nullptr, nullptr, 0, nullptr, nullptr, 0);
  step("cuLibraryGetKernel", [&] { return cu.cuLibraryGetKernel(&kernel, library, "two"); });
  step("cuKernelGetParamInfo of a kernel never used",
       [&] { return cu.cuKernelGetParamInfo(kernel, 0, &offset, &size); });
  step("cuKernelGetAttribute of a kernel never used",
       [&] { return cu.cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel, rig.device); });
  step("cuFuncGetAttribute of a CUkernel", [&] {
    return cu.cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, reinterpret_cast<CUfunction>(kernel));
  });
  step("cuOccupancyMaxActiveBlocksPerMultiprocessor of a CUkernel", [&] {
    return cu.cuOccupancyMaxActiveBlocksPerMultiprocessor(&value, reinterpret_cast<CUfunction>(kernel), 128, 0);
  });
  step("cuKernelSetCacheConfig of a kernel never used",
       [&] { return cu.cuKernelSetCacheConfig(kernel, 0, rig.device); });
  step("cuKernelGetFunction, first", [&] { return cu.cuKernelGetFunction(&function, kernel); });
  step("cuKernelGetFunction, second", [&] { return cu.cuKernelGetFunction(&function, kernel); });
  step("cuFuncGetParamInfo of it", [&] { return cu.cuFuncGetParamInfo(function, 0, &offset, &size); });
}

/// Where printf text arrives, and after which call.
void device_printf(Rig& rig) {
  const int file = ::memfd_create("out", 0);
  ::dup2(file, 1);
  const auto written = [&] {
    struct stat status {};
    ::fstat(file, &status);
    return static_cast<long>(status.st_size);
  };
  const auto step = [&](const char* after, const std::function<CUresult()>& call) {
    const long before = written();
    launch(rig.say, rig.stream, nullptr);
    ::usleep(20000);
    const CUresult result = call();
    const long direct = written() - before;
    std::fflush(stdout);
    fact("printf", "after %s (result %d): %ld bytes on descriptor 1 at once, %ld after fflush(stdout)", after, result,
         direct, written() - before);
    cu.cuCtxSynchronize();
    std::fflush(stdout);
  };
  step("nothing", [] { return CUDA_SUCCESS; });
  step("cuEventRecord + cuEventQuery", [&] {
    cu.cuEventRecord(rig.event, rig.stream);
    ::usleep(5000);
    return cu.cuEventQuery(rig.event);
  });
  step("cuEventRecord + cuEventSynchronize", [&] {
    cu.cuEventRecord(rig.event, rig.stream);
    ::usleep(5000);
    return cu.cuEventSynchronize(rig.event);
  });
  step("cuCtxRecordEvent + cuEventSynchronize", [&] {
    cu.cuCtxRecordEvent(rig.context, rig.event);
    ::usleep(5000);
    return cu.cuEventSynchronize(rig.event);
  });
  step("cuStreamQuery", [&] { return cu.cuStreamQuery(rig.stream); });
  step("cuStreamSynchronize of it", [&] { return cu.cuStreamSynchronize(rig.stream); });
  step("cuStreamSynchronize of the legacy stream", [&] { return cu.cuStreamSynchronize(CU_STREAM_LEGACY); });
  step("cuCtxSynchronize", [&] { return cu.cuCtxSynchronize(); });
  step("cuMemcpyDtoH", [&] {
    int word = 0;
    return cu.cuMemcpyDtoH_v2(&word, rig.memory, 4);
  });
}

void launch_blocks(Rig& rig) {
  uint8_t block[64] = {};
  for (size_t size : {12, 8, 4, 0, 16, 64}) {
    size_t given = size;
    void* extra[] = {reinterpret_cast<void*>(1), block, reinterpret_cast<void*>(2), &given, nullptr};
    fact("extra", "12 bytes wanted, %zu given: result %d", size,
         cu.cuLaunchKernel(rig.two, 1, 1, 1, 1, 1, 1, 0, rig.stream, nullptr, extra));
  }
  fact("extra", "no parameters at all: result %d",
       cu.cuLaunchKernel(rig.two, 1, 1, 1, 1, 1, 1, 0, rig.stream, nullptr, nullptr));
  cu.cuCtxSynchronize();
}

void pageable_source(Rig& rig) {
  for (size_t size : {size_t{4}, size_t{32768}, size_t{65536}}) {
    static uint8_t source[65536], back[65536];
    std::memset(source, 1, size);
    start_spin(rig);
    const double begin = now_us();
    const CUresult result = cu.cuMemcpyHtoDAsync_v2(rig.memory, source, size, rig.stream);
    const double took = now_us() - begin;
    std::memset(source, 2, size);
    *rig.flag = 1;
    cu.cuCtxSynchronize();
    cu.cuMemcpyDtoH_v2(back, rig.memory, size);
    fact("pageable", "%zu bytes behind a spin: result %d in %.1f us; changed afterwards, the copy shows %s", size,
         result, took, back[0] == 1 && back[size - 1] == 1 ? "the old bytes" : "the NEW bytes");
  }
}

void costs(Rig& rig) {
  const auto measure = [&](const char* what, int count, const std::function<void()>& call) {
    for (int i = 0; i < 100; ++i) call();
    const double begin = now_us();
    for (int i = 0; i < count; ++i) call();
    fact("cost", "%s: %.3f us", what, (now_us() - begin) / count);
  };
  CUdeviceptr at = rig.memory;
  uint32_t v = 0;
  void* arguments[] = {&at, &v};
  measure("launch + cuCtxSynchronize", 5000, [&] {
    launch(rig.two, nullptr, arguments);
    cu.cuCtxSynchronize();
  });
  measure("launch + cuCtxRecordEvent + polled cuEventQuery", 5000, [&] {
    launch(rig.two, nullptr, arguments);
    cu.cuCtxRecordEvent(rig.context, rig.event);
    while (cu.cuEventQuery(rig.event) == CUDA_ERROR_NOT_READY) {
    }
  });
  measure("the same + cuCtxSynchronize", 5000, [&] {
    launch(rig.two, nullptr, arguments);
    cu.cuCtxRecordEvent(rig.context, rig.event);
    while (cu.cuEventQuery(rig.event) == CUDA_ERROR_NOT_READY) {
    }
    cu.cuCtxSynchronize();
  });
  measure("the same + cuEventSynchronize instead", 5000, [&] {
    launch(rig.two, nullptr, arguments);
    cu.cuCtxRecordEvent(rig.context, rig.event);
    while (cu.cuEventQuery(rig.event) == CUDA_ERROR_NOT_READY) {
    }
    cu.cuEventSynchronize(rig.event);
  });
  int word = 0;
  void* pinned = const_cast<uint32_t*>(rig.flag);
  measure("cuMemcpyDtoH 4 B pageable", 5000, [&] { cu.cuMemcpyDtoH_v2(&word, rig.memory, 4); });
  measure("cuMemcpyDtoH 4 B pinned", 5000, [&] { cu.cuMemcpyDtoH_v2(pinned, rig.memory, 4); });
  measure("cuMemcpyDtoHAsync 4 B pinned + cuEventRecord + polled cuEventQuery", 5000, [&] {
    cu.cuMemcpyDtoHAsync_v2(pinned, rig.memory, 4, nullptr);
    cu.cuEventRecord(rig.event, nullptr);
    while (cu.cuEventQuery(rig.event) == CUDA_ERROR_NOT_READY) {
    }
  });
  measure("cuMemcpyHtoD 4 B pageable", 5000, [&] { cu.cuMemcpyHtoD_v2(rig.memory, &word, 4); });
  measure("cuMemcpyHtoD 4 B pinned", 5000, [&] { cu.cuMemcpyHtoD_v2(rig.memory, pinned, 4); });
  measure("cuMemcpyHtoDAsync 4 B pageable + cuEventRecord + polled cuEventQuery", 5000, [&] {
    cu.cuMemcpyHtoDAsync_v2(rig.memory, &word, 4, nullptr);
    cu.cuEventRecord(rig.event, nullptr);
    while (cu.cuEventQuery(rig.event) == CUDA_ERROR_NOT_READY) {
    }
  });
  measure("cuMemcpyHtoDAsync 4 B pinned + cuEventRecord + polled cuEventQuery", 5000, [&] {
    cu.cuMemcpyHtoDAsync_v2(rig.memory, pinned, 4, nullptr);
    cu.cuEventRecord(rig.event, nullptr);
    while (cu.cuEventQuery(rig.event) == CUDA_ERROR_NOT_READY) {
    }
  });
  struct stat status {};
  measure("fstat", 5000, [&] { ::fstat(1, &status); });
}

}  // namespace

int main(int argc, char** argv) {
  void* library = ::dlopen(argc > 1 ? argv[1] : "libcuda.so.1", RTLD_NOW);
  if (library == nullptr) return std::fprintf(stderr, "%s\n", ::dlerror()), 1;
  for_each_function(cu, [library](const char* symbol, void** slot) { *slot = ::dlsym(library, symbol); });
  Rig rig;
  if (!set_up(rig)) return std::fprintf(stderr, "the driver cannot be used\n"), 1;
  costs(rig);
  launch_blocks(rig);
  pageable_source(rig);
  under_a_spin(rig);
  device_printf(rig);
  ::_exit(0);
}
