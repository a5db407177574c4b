# SPDX-License-Identifier: Apache-2.0
"""Numba's CUDA target: kernels written in Python, its own memory, streams and events."""
import math

import numpy as np
from numba import cuda, float32, vectorize
from numba.cuda.random import create_xoroshiro128p_states, xoroshiro128p_uniform_float32

from harness import measured, program

REQUIRES = ("numba", "numba.cuda")

if not cuda.is_available():
    raise RuntimeError("numba finds no GPU")


def healthy() -> None:
    assert cuda.to_device(np.ones(2)).copy_to_host().sum() == 2


def seeded(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


@cuda.jit
def add_kernel(x, y, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = x[i] + y[i]


@cuda.jit
def product_kernel(a, b, c):
    left, right = cuda.shared.array((16, 16), float32), cuda.shared.array((16, 16), float32)
    column, row = cuda.grid(2)
    x, y, total = cuda.threadIdx.x, cuda.threadIdx.y, float32(0)
    for step in range(a.shape[1] // 16):
        left[y, x], right[y, x] = a[row, step * 16 + x], b[step * 16 + y, column]
        cuda.syncthreads()
        for k in range(16):
            total += left[y, k] * right[k, x]
        cuda.syncthreads()
    c[row, column] = total


@cuda.jit
def histogram_kernel(x, counts):
    for i in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        cuda.atomic.add(counts, x[i], 1)


@cuda.jit
def wave_kernel(x, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = math.sin(x[i]) * math.exp(-x[i] * x[i])


@cuda.jit(device=True)
def clamp(value, low, high):
    return min(max(value, low), high)


@cuda.jit
def clamp_kernel(x):
    i = cuda.grid(1)
    if i < x.size:
        x[i] = clamp(x[i], -0.5, 0.5)


@cuda.jit
def random_kernel(states, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = xoroshiro128p_uniform_float32(states, i)


@cuda.reduce
def total_of(a, b):
    return a + b


@program("numba")
def add():
    x, out = seeded(10_000), cuda.device_array(10_000, np.float32)
    add_kernel[79, 128](cuda.to_device(x), cuda.to_device(x[::-1].copy()), out)
    return {"out": out.copy_to_host()}


@program("numba")
def arrays_of_the_host():
    """Copied there and back by the launch itself."""
    x, out = seeded(1000), np.zeros(1000, np.float32)
    add_kernel[8, 128](x, x, out)
    return {"out": out}


@program("numba")
def shared_memory_product():
    c = cuda.device_array((64, 64), np.float32)
    product_kernel[(4, 4), (16, 16)](cuda.to_device(seeded(64, 128)), cuda.to_device(seeded(128, 64)), c)
    return {"product": c.copy_to_host()}


@program("numba")
def atomics():
    counts = cuda.to_device(np.zeros(32, np.int32))
    histogram_kernel[16, 128](cuda.to_device(np.random.default_rng(2).integers(0, 32, 50_000)), counts)
    return {"counts": counts.copy_to_host()}


@program("numba")
def mathematics():
    out = cuda.device_array(5000, np.float32)
    wave_kernel[40, 128](cuda.to_device(seeded(5000)), out)
    return {"out": out.copy_to_host()}


@program("numba")
def device_functions():
    x = cuda.to_device(seeded(1000))
    clamp_kernel[8, 128](x)
    return {"x": x.copy_to_host()}


@program("numba")
def random():
    out = cuda.device_array(1024, np.float32)
    random_kernel[8, 128](create_xoroshiro128p_states(1024, seed=7), out)
    return {"out": out.copy_to_host()}


@program("numba")
def reduction():
    return {"total": float(total_of(cuda.to_device(np.arange(10_000, dtype=np.float64))))}


@program("numba")
def streams_and_events():
    stream, begun, ended = cuda.stream(), cuda.event(), cuda.event()
    x, out = cuda.to_device(seeded(10_000), stream), cuda.device_array(10_000, np.float32, stream=stream)
    begun.record(stream)
    add_kernel[79, 128, stream](x, x, out)
    ended.record(stream)
    ended.synchronize()
    return {"out": out.copy_to_host(stream=stream), "plausible": 0 <= begun.elapsed_time(ended) < 60_000}


@program("numba")
def pinned_memory():
    there = cuda.pinned_array(1 << 16, np.float32)
    there[:] = np.arange(1 << 16)
    x = cuda.to_device(there)
    clamp_kernel[512, 128](x)
    return {"x": x.copy_to_host()}


@program("numba")
def many_launches():
    x, out = cuda.to_device(seeded(4096)), cuda.to_device(np.zeros(4096, np.float32))
    with measured():
        for _ in range(200):
            add_kernel[32, 128](x, out, out)
        cuda.synchronize()
    return {"out": out.copy_to_host()}


@vectorize(["float32(float32, float32)"], target="cuda")
def hypotenuse(x, y):
    return math.sqrt(x * x + y * y)


@program("numba")
def vectorized():
    return {"out": np.asarray(hypotenuse(seeded(1000), seeded(1000)))}
