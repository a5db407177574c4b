# SPDX-License-Identifier: Apache-2.0
"""Triton alone: kernels of many kinds. PyTorch only holds their memory."""
import torch
import triton
import triton.language as tl

from harness import Close, measured, program

REQUIRES = ("torch", "triton")


def before_each() -> None:
    torch.manual_seed(0)


def healthy() -> None:
    assert torch.ones(2, device="cuda").sum().item() == 2


def seeded(*shape: int, kind: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape).to(kind).cuda()


@triton.jit
def add_kernel(x, y, out, count, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < count
    tl.store(out + i, tl.load(x + i, mask=inside) + tl.load(y + i, mask=inside), mask=inside)


@program("kernels")
def add():
    answers = {}
    for kind in (torch.float32, torch.float16, torch.bfloat16, torch.int64):
        x, y = (seeded(10_007) * 10).to(kind), (seeded(10_007) * 10).to(kind)
        out = torch.empty_like(x)
        add_kernel[(triton.cdiv(x.numel(), 256),)](x, y, out, x.numel(), BLOCK=256)
        answers[str(kind)] = out
    return answers


@program("kernels")
def many_launches():
    x, out = seeded(4096), torch.zeros(4096, device="cuda")
    with measured():
        for _ in range(500):
            add_kernel[(16,)](x, out, out, 4096, BLOCK=256)
        torch.cuda.synchronize()
    return {"out": out}


@triton.jit
def softmax_kernel(x, out, stride, columns, BLOCK: tl.constexpr):
    row, i = tl.program_id(0), tl.arange(0, BLOCK)
    values = tl.load(x + row * stride + i, mask=i < columns, other=-float("inf"))
    raised = tl.exp(values - tl.max(values, axis=0))
    tl.store(out + row * stride + i, raised / tl.sum(raised, axis=0), mask=i < columns)


@program("kernels")
def softmax():
    x = seeded(100, 781)
    out = torch.empty_like(x)
    softmax_kernel[(100,)](x, out, x.stride(0), 781, BLOCK=1024)
    return {"out": out}


@triton.jit
def layer_norm_kernel(x, weight, bias, out, columns, eps, BLOCK: tl.constexpr):
    row, i = tl.program_id(0), tl.arange(0, BLOCK)
    inside = i < columns
    values = tl.load(x + row * columns + i, mask=inside, other=0.0).to(tl.float32)
    mean = tl.sum(values, axis=0) / columns
    centred = tl.where(inside, values - mean, 0.0)
    scale = 1 / tl.sqrt(tl.sum(centred * centred, axis=0) / columns + eps)
    tl.store(out + row * columns + i, centred * scale * tl.load(weight + i, mask=inside) + tl.load(bias + i, mask=inside), mask=inside)


@program("kernels")
def layer_norm():
    x, weight, bias = seeded(64, 700, kind=torch.float16), seeded(700), seeded(700)
    out = torch.empty_like(x)
    layer_norm_kernel[(64,)](x, weight, bias, out, 700, 1e-5, BLOCK=1024, num_warps=8)
    return {"out": out}


@triton.jit
def dropout_kernel(x, out, count, chance, seed, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    kept = tl.rand(seed, i) > chance
    tl.store(out + i, tl.where(kept, tl.load(x + i, mask=i < count) / (1 - chance), 0.0), mask=i < count)


@program("kernels")
def dropout():
    x = seeded(5000)
    out = torch.empty_like(x)
    dropout_kernel[(10,)](x, out, 5000, 0.3, 1234, BLOCK=512)
    return {"out": out}


@triton.jit
def histogram_kernel(x, counts, count, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.atomic_add(counts + tl.load(x + i, mask=i < count, other=0), 1, mask=i < count)


@program("kernels")
def atomics():
    x = torch.randint(0, 64, (100_000,)).cuda()
    counts = torch.zeros(64, dtype=torch.int32, device="cuda")
    histogram_kernel[(triton.cdiv(100_000, 1024),)](x, counts, 100_000, BLOCK=1024)
    return {"counts": counts}


@triton.jit
def statistics_kernel(x, out, columns, BLOCK: tl.constexpr):
    row, i = tl.program_id(0), tl.arange(0, BLOCK)
    values = tl.load(x + row * columns + i, mask=i < columns, other=0.0)
    tl.store(out + row * 4, tl.sum(values, axis=0))
    tl.store(out + row * 4 + 1, tl.max(values, axis=0))
    tl.store(out + row * 4 + 2, tl.argmin(values, axis=0).to(tl.float32))
    tl.store(out + row * 4 + 3, tl.sum(tl.cumsum(values, axis=0), axis=0))


@program("kernels")
def reductions_and_scans():
    x, out = seeded(50, 512), torch.empty(50, 4, device="cuda")
    statistics_kernel[(50,)](x, out, 512, BLOCK=512)
    return {"out": out}


@triton.jit
def powers_kernel(x, out, COUNT: tl.constexpr, POWER: tl.constexpr, NEGATE: tl.constexpr):
    i = tl.arange(0, COUNT)
    values = tl.load(x + i)
    result = values
    for _ in tl.static_range(POWER - 1):
        result = result * values
    if NEGATE:
        result = -result
    tl.store(out + i, result)


@program("kernels")
def constants():
    x, answers = seeded(128), {}
    for power, negate in ((1, False), (3, True), (5, False)):
        answers[f"{power} {negate}"] = out = torch.empty_like(x)
        powers_kernel[(1,)](x, out, COUNT=128, POWER=power, NEGATE=negate)
    return answers


@triton.jit
def product_kernel(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows, columns, depth = tl.program_id(0) * BM + tl.arange(0, BM), tl.program_id(1) * BN + tl.arange(0, BN), tl.arange(0, BK)
    total = tl.zeros((BM, BN), dtype=tl.float32)
    for k in range(0, K, BK):
        left = tl.load(a + rows[:, None] * K + (k + depth)[None, :], mask=rows[:, None] < M, other=0.0)
        right = tl.load(b + (k + depth)[:, None] * N + columns[None, :], mask=columns[None, :] < N, other=0.0)
        total = tl.dot(left, right, total)
    tl.store(c + rows[:, None] * N + columns[None, :], total.to(c.dtype.element_ty), mask=(rows[:, None] < M) & (columns[None, :] < N))


def product(kind: torch.dtype) -> torch.Tensor:
    a, b = seeded(200, 256, kind=kind), seeded(256, 150, kind=kind)
    c = torch.empty(200, 150, dtype=torch.float32, device="cuda")
    product_kernel[(triton.cdiv(200, 64), triton.cdiv(150, 32))](a, b, c, 200, 150, 256, BM=64, BN=32, BK=32)
    return c


@program("dots")
def matrix_product_half():
    return {"float16": product(torch.float16), "bfloat16": product(torch.bfloat16)}


@program("dots")
def matrix_product_single():
    return {"float32": product(torch.float32)}


tuned_add_kernel = triton.autotune(configs=[triton.Config({"BLOCK": size}, num_warps=warps) for size, warps in ((128, 2), (512, 4), (1024, 8))], key=["count"])(add_kernel)


@program("dots")
def autotune():
    """Which configuration wins may differ; what it computes may not."""
    x, y = seeded(100_000), seeded(100_000)
    out = torch.empty_like(x)
    tuned_add_kernel[lambda chosen: (triton.cdiv(100_000, chosen["BLOCK"]),)](x, y, out, 100_000)
    return {"out": out}


@triton.jit
def attention_kernel(q, k, v, out, length, scale, BLOCK: tl.constexpr, SIZE: tl.constexpr):
    """One head; a block of queries meets the keys block by block, with a running softmax."""
    rows, depth = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, SIZE)
    query = tl.load(q + rows[:, None] * SIZE + depth[None, :])
    largest, weight, total = tl.full((BLOCK,), -float("inf"), tl.float32), tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK, SIZE), tl.float32)
    for start in range(0, length, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        scores = tl.dot(query, tl.load(k + columns[None, :] * SIZE + depth[:, None])) * scale
        now = tl.maximum(largest, tl.max(scores, axis=1))
        shrink, raised = tl.exp(largest - now), tl.exp(scores - now[:, None])
        weight, largest = weight * shrink + tl.sum(raised, axis=1), now
        total = tl.dot(raised.to(tl.float16), tl.load(v + columns[:, None] * SIZE + depth[None, :]), total * shrink[:, None])
    tl.store(out + rows[:, None] * SIZE + depth[None, :], total / weight[:, None])


@program("dots")
def attention():
    q, k, v = (seeded(256, 64, kind=torch.float16) for _ in range(3))
    out = torch.empty(256, 64, device="cuda")
    attention_kernel[(4,)](q, k, v, out, 256, 0.125, BLOCK=64, SIZE=64)
    expected = torch.softmax(q.float() @ k.float().T * 0.125, 1) @ v.float()
    return {"out": out, "right": bool(torch.allclose(out, expected, atol=2e-2)), "expected": Close(expected)}
