# SPDX-License-Identifier: Apache-2.0
"""CuPy: NVIDIA's libraries through it, kernels compiled at run time, streams, memory and graphs."""
import cupy as cp
import numpy as np

from harness import measured, program

REQUIRES = ("cupy",)


def before_each() -> None:
    cp.random.seed(0)


def healthy() -> None:
    assert int(cp.ones(2).sum()) == 2


def seeded(*shape: int, kind: str = "float32") -> cp.ndarray:
    """Made by numpy, so the same whatever the GPU."""
    return cp.asarray(np.random.default_rng(1).standard_normal(shape).astype(kind))


# ---- arrays -----------------------------------------------------------------------------------------------------------


@program("arrays")
def elementwise():
    x = seeded(1000, 300)
    return {"answer": cp.sqrt(cp.abs(x)) * cp.sin(x) + x[::-1], "where": cp.where(x > 0, x, -1), "whole": (x * 100).astype(cp.int16)}


@program("arrays")
def reductions():
    x = seeded(700, 300)
    return {"sum": x.sum(), "columns": x.sum(0), "largest": x.max(1), "where": x.argmin(1), "deviation": x.std(0), "running": x.cumsum(1)}


@program("arrays")
def sorting():
    x = cp.asarray(np.random.default_rng(2).integers(0, 1000, 50_000))
    return {"sorted": cp.sort(x), "order": cp.argsort(x, kind="stable"), "unique": cp.unique(x), "counts": cp.bincount(x)}


@program("arrays")
def elementwise_kernel():
    kernel = cp.ElementwiseKernel("float32 x, float32 y", "float32 z", "z = x * x - y", "squared_difference")
    return {"answer": kernel(seeded(10_000), seeded(10_000))}


@program("arrays")
def reduction_kernel():
    kernel = cp.ReductionKernel("T x", "T y", "x * x", "a + b", "y = sqrt(a)", "0", "length")
    return {"length": kernel(seeded(64, 500), axis=1)}


@program("arrays")
def fused():
    @cp.fuse
    def formula(x, y):
        return cp.tanh(x) * y + x

    return {"answer": formula(seeded(5000), seeded(5000))}


# ---- libraries --------------------------------------------------------------------------------------------------------


@program("libraries")
def cublas():
    a, b = seeded(200, 300), seeded(300, 100)
    return {"single": a @ b, "double": seeded(64, 64, kind="float64") @ seeded(64, 64, kind="float64"), "batched": cp.matmul(seeded(8, 32, 32), seeded(8, 32, 32)),
            "half": a.astype("float16") @ b.astype("float16"), "vector": cp.dot(a, b[:, 0]), "tensordot": cp.tensordot(a, b, 1)}


@program("libraries")
def cusolver():
    a = seeded(48, 48, kind="float64")
    positive = a @ a.T + 48 * cp.eye(48)
    return {"solve": cp.linalg.solve(positive, a), "singular": cp.linalg.svd(a, compute_uv=False), "cholesky": cp.linalg.cholesky(positive),
            "eigen": cp.linalg.eigvalsh(positive), "q": cp.linalg.qr(a)[0]}


@program("libraries")
def cusparse():
    from cupyx.scipy import sparse

    dense = seeded(300, 200) * (seeded(300, 200) > 1.5)
    rows, right = sparse.csr_matrix(dense), seeded(200, 6)
    return {"product": rows @ right, "vector": rows @ right[:, 0], "transposed": rows.T.tocsr() @ seeded(300, 2), "values": rows.data, "columns": rows.indices}


@program("libraries")
def curand():
    legacy = {"normal": cp.random.standard_normal(10_000), "uniform": cp.random.rand(10_000), "whole": cp.random.randint(0, 100, 10_000)}
    generator = cp.random.default_rng(3)
    return legacy | {"philox": cp.random.Generator(cp.random.Philox4x3210(5)).random(1000), "exponential": generator.exponential(size=1000)}


# cuFFT stands apart: where it fails, the others are to be seen all the same.
@program("fft")
def cufft():
    x = seeded(4096).astype("complex64")
    return {"forward": cp.fft.fft(x), "rows": cp.fft.rfft(seeded(16, 1000)), "plane": cp.fft.fft2(seeded(64, 48))}


@program("fft")
def cufft_plan():
    from cupyx.scipy import fft

    x = seeded(32, 256).astype("complex64")
    with fft.get_fft_plan(x, axes=1):
        return {"forward": fft.fft(x, axis=1)}


# ---- kernels ----------------------------------------------------------------------------------------------------------

SOURCE = r"""
__constant__ float factors[4];
__device__ int calls;
extern "C" __global__ void scale(const float* x, float* y, int count) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) y[i] = x[i] * factors[i % 4];
  if (i == 0) atomicAdd(&calls, 1);
}
extern "C" __global__ void block_sums(const float* x, float* sums) {
  extern __shared__ float shared[];
  shared[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
  }
  if (threadIdx.x == 0) sums[blockIdx.x] = shared[0];
}
template <typename T> __global__ void square(const T* x, T* y) { y[threadIdx.x] = x[threadIdx.x] * x[threadIdx.x]; }
"""


@program("kernels")
def raw_kernel():
    kernel = cp.RawKernel(SOURCE, "block_sums")
    x, sums = seeded(256 * 40), cp.zeros(40, cp.float32)
    kernel((40,), (256,), (x, sums), shared_mem=1024)
    return {"sums": sums, "threads": kernel.max_threads_per_block}


@program("kernels")
def raw_module():
    """Variables of a module, one kernel by its name and one by a template's."""
    module = cp.RawModule(code=SOURCE, options=("--std=c++17",), name_expressions=["square<double>"])
    factors = cp.ndarray(4, cp.float32, module.get_global("factors"))
    factors[...] = cp.asarray([1, 2, 3, 4], cp.float32)
    calls = cp.ndarray(1, cp.int32, module.get_global("calls"))
    calls[...] = 0  # CuPy keeps a module that it has loaded before
    x, y, z = seeded(1000), cp.zeros(1000, cp.float32), cp.zeros(32)
    for _ in range(3):
        module.get_function("scale")((8,), (128,), (x, y, np.int32(1000)))
    module.get_function("square<double>")((1,), (32,), (cp.arange(32.0), z))
    return {"scaled": y, "squared": z, "calls": calls}


@program("kernels")
def kernel_that_does_not_compile():
    try:
        cp.RawKernel('extern "C" __global__ void f() { nonsense; }', "f").compile()
        return {"error": None}
    except cp.cuda.compiler.CompileException as error:
        return {"error": "nonsense" in str(error)}


# ---- streams, memory, graphs ------------------------------------------------------------------------------------------


@program("streams")
def streams_and_events():
    streams, parts = [cp.cuda.Stream(non_blocking=True) for _ in range(3)], []
    x, begun, ended = seeded(512, 512), cp.cuda.Event(), cp.cuda.Event()
    cp.cuda.get_current_stream().synchronize()
    begun.record()
    for stream in streams:
        with stream:
            parts.append(cp.tanh(x @ x))
    for stream in streams:
        cp.cuda.get_current_stream().wait_event(stream.record())
    ended.record()
    ended.synchronize()
    return {"sum": parts[0] + parts[1] + parts[2], "plausible": 0 <= cp.cuda.get_elapsed_time(begun, ended) < 60_000}


@program("streams")
def host_function():
    """A stream calls back into Python, in order."""
    told, stream = [], cp.cuda.Stream()
    with stream:
        x = seeded(1000) * 2
        stream.launch_host_func(lambda _: told.append("first"), None)
        x += 1
        stream.launch_host_func(lambda _: told.append("second"), None)
    stream.synchronize()
    return {"told": told, "x": x}


@program("streams")
def memory_pools():
    pool = cp.cuda.MemoryPool()
    with cp.cuda.using_allocator(pool.malloc):
        x = seeded(1 << 18)
        used = pool.used_bytes()
        y = x * 2
        del x
        pool.free_all_blocks()
    with cp.cuda.using_allocator(cp.cuda.MemoryAsyncPool().malloc):
        z = cp.arange(1000) ** 2
    return {"used": used, "y": y, "z": z}


@program("streams")
def pinned_memory():
    memory = cp.cuda.alloc_pinned_memory(4 << 16)
    there = np.frombuffer(memory, np.float32, 1 << 16)
    there[:] = np.arange(1 << 16)
    stream, x = cp.cuda.Stream(), cp.empty(1 << 16, cp.float32)
    with measured():
        for _ in range(10):
            x.set(there, stream=stream)
        stream.synchronize()
    return {"x": x}


@program("streams")
def graph():
    stream, x = cp.cuda.Stream(non_blocking=True), seeded(10_000)
    y = cp.empty_like(x)
    with stream:
        cp.multiply(x, 2, out=y)  # compiled before the capture
        cp.add(y, 1, out=y)
        stream.begin_capture()
        cp.multiply(x, 2, out=y)
        cp.add(y, 1, out=y)
        captured = stream.end_capture()
        x += 3
        for _ in range(5):
            captured.launch(stream)
    stream.synchronize()
    return {"y": y}
