# SPDX-License-Identifier: Apache-2.0
"""PyTorch's operators one by one: operator x element type x layout, generated; each case is named for all three.

The operands are made on the processor from a seed that is the case's own, so that they do not depend on the GPU.
"""
import os
import zlib
from functools import partial

import torch
import torch.nn.functional as nnf

from harness import cases

REQUIRES = ("torch",)
DEVICE = os.environ.get("TEST_DEVICE", "cuda")
ROWS, COLUMNS = 48, 80

REAL = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
NUMBERS = (*REAL, torch.complex64, torch.int32, torch.int64, torch.uint8)
WHOLE = (torch.int32, torch.int64, torch.uint8, torch.int16)
LAYOUTS = ("rows", "columns", "strided", "spread")

POINTWISE = {
    "add": (NUMBERS, lambda a, b: a + b), "multiply": (NUMBERS, lambda a, b: a * b), "compare": ((*REAL, *WHOLE), lambda a, b: a < b),
    "where": (NUMBERS, lambda a, b: torch.where(a == b, a, b)), "divide": (REAL, lambda a, b: a / (b.abs() + 1)),
    "sine": ((*REAL, torch.complex64), lambda a, b: torch.sin(a)), "exponential": (REAL, lambda a, b: torch.exp(a)),
    "tanh": (REAL, lambda a, b: torch.tanh(a)), "gelu": (REAL, lambda a, b: nnf.gelu(a)), "arctangent": (REAL, torch.atan2),
    "clamp": ((*REAL, *WHOLE), lambda a, b: a.clamp(0, 1)), "error_function": (REAL, lambda a, b: torch.erf(a)),
    "bits": (WHOLE, lambda a, b: (a & b) ^ (a | 3)), "convert": (NUMBERS, lambda a, b: a.abs().to(torch.float32).to(torch.int32)),
}
REDUCTIONS = {
    "sum": (NUMBERS, lambda a: a.sum()), "sum_of_columns": (NUMBERS, lambda a: a.sum(0)), "mean_of_rows": (REAL, lambda a: a.mean(1)),
    "largest": ((*REAL, *WHOLE), lambda a: a.amax(1)), "index_of_largest": ((*REAL, *WHOLE), lambda a: a.argmax(1)),
    "running_sum": ((*REAL, *WHOLE), lambda a: a.cumsum(1)), "deviation": (REAL, lambda a: a.std(0)), "norm": (REAL, lambda a: torch.linalg.vector_norm(a)),
    "log_sum_exp": (REAL, lambda a: a.logsumexp(1)), "count": (NUMBERS, lambda a: a.count_nonzero(0)), "any": (NUMBERS, lambda a: (a != 0).any(0)),
}
MOVES = {
    "copy": (NUMBERS, lambda a: a.contiguous()), "join": (NUMBERS, lambda a: torch.cat([a, a.flip(0)], 1)), "roll": (NUMBERS, lambda a: a.roll(3, 1)),
    "pick_rows": (NUMBERS, lambda a: a[torch.arange(0, ROWS, 3, device=DEVICE)]), "masked": ((*REAL, *WHOLE), lambda a: a[a > 0]),
    "gather": (NUMBERS, lambda a: a.gather(1, indices())), "scatter": (REAL, lambda a: torch.zeros_like(a).scatter_(1, indices(), a)),
    "lower": (NUMBERS, lambda a: a.tril()), "fill": (NUMBERS, lambda a: a.clone().fill_(3)), "nonzero": (NUMBERS, lambda a: a.nonzero()),
    "pad": (NUMBERS, lambda a: nnf.pad(a, (1, 2, 3, 4))), "sort": ((*REAL, *WHOLE), lambda a: a.sort(dim=1, stable=True).values),
    "top": ((*REAL, *WHOLE), lambda a: a.topk(5, 1).values), "unique": (WHOLE, lambda a: a.unique()), "to_host": (NUMBERS, lambda a: a.cpu()),
}
PRODUCTS = {
    "product": ((*REAL, torch.complex64), lambda a, b: a @ b.T), "batched": (REAL, lambda a, b: torch.bmm(a.reshape(4, -1, COLUMNS), b.reshape(4, -1, COLUMNS).mT)),
    "vector": (REAL, lambda a, b: a @ b[0]), "einsum": (REAL, lambda a, b: torch.einsum("ij,kj->ik", a, b)), "outer": (REAL, lambda a, b: torch.outer(a[:, 0], b[:, 0])),
    "add_product": (REAL, lambda a, b: torch.addmm(torch.ones(ROWS, ROWS, dtype=a.dtype, device=DEVICE), a, b.T)),
}
LAYERS = {
    "softmax": lambda a: nnf.softmax(a, 1), "log_softmax": lambda a: nnf.log_softmax(a, -1), "layer_norm": lambda a: nnf.layer_norm(a, a.shape[-1:]),
    "batch_norm": lambda a: nnf.batch_norm(a, None, None, training=True), "max_pool": lambda a: nnf.max_pool2d(a, 2), "mean_pool": lambda a: nnf.avg_pool2d(a, 3, 2),
    "enlarge": lambda a: nnf.interpolate(a, scale_factor=2, mode="nearest"), "convolve": lambda a: nnf.conv2d(a, torch.ones(4, 3, 3, 3, dtype=a.dtype, device=DEVICE)),
    "group_norm": lambda a: nnf.group_norm(a, 1), "embedding": lambda a: nnf.embedding(torch.tensor([1, 0, 0, 1], device=DEVICE), a.flatten(1)),
}
RANDOM = {
    "normal": lambda: torch.randn(1000, device=DEVICE), "uniform": lambda: torch.rand(1000, device=DEVICE, dtype=torch.float64),
    "whole": lambda: torch.randint(0, 1000, (1000,), device=DEVICE), "order": lambda: torch.randperm(5000, device=DEVICE),
    "coins": lambda: torch.bernoulli(torch.full((1000,), 0.3, device=DEVICE)), "dropout": lambda: nnf.dropout(torch.ones(1000, device=DEVICE), 0.4),
    "exponential": lambda: torch.empty(1000, device=DEVICE).exponential_(), "choice": lambda: torch.multinomial(torch.ones(100, device=DEVICE), 50),
}


def before_each() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(0)


def healthy() -> None:
    assert torch.ones(2, device=DEVICE).sum().item() == 2


def indices() -> torch.Tensor:
    return (torch.arange(ROWS * COLUMNS, device=DEVICE).reshape(ROWS, COLUMNS) * 7) % COLUMNS


def operand(seed: int, kind: torch.dtype, layout: str) -> torch.Tensor:
    """A matrix of ROWS x COLUMNS. spread: one row, seen ROWS times."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {"rows": (ROWS, COLUMNS), "columns": (COLUMNS, ROWS), "strided": (ROWS, 2 * COLUMNS), "spread": (1, COLUMNS)}
    values = torch.randn(shapes[layout], generator=generator, dtype=torch.float64) * 3
    values = (values.abs() if kind == torch.uint8 else values).to(kind).to(DEVICE)
    return {"rows": lambda: values, "columns": lambda: values.T, "strided": lambda: values[:, ::2], "spread": lambda: values.expand(ROWS, COLUMNS)}[layout]()


def image(seed: int, kind: torch.dtype, layout: str) -> torch.Tensor:
    values = torch.randn(2, 3, 16, 20, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(kind).to(DEVICE)
    return values.to(memory_format=torch.channels_last) if layout == "channels_last" else values


def compute(operation, operands: int, make, name: str, kind: torch.dtype, layout: str) -> dict:
    seed = zlib.crc32(name.encode())
    return {"result": operation(*(make(seed + n, kind, layout) for n in range(operands)))}


def matrix_cases(table: dict, operands: int, layouts: tuple):
    for operator, (kinds, operation) in table.items():
        for kind in kinds:
            for layout in layouts:
                name = f"{operator}.{str(kind).removeprefix('torch.')}.{layout}"
                yield f"case.{name}", partial(compute, operation, operands, operand, name, kind, layout)


@cases("cases")
def operators():
    yield from matrix_cases(POINTWISE, 2, LAYOUTS)
    yield from matrix_cases(REDUCTIONS, 1, LAYOUTS)
    yield from matrix_cases(MOVES, 1, ("rows", "columns"))
    yield from matrix_cases(PRODUCTS, 2, ("rows", "columns", "strided"))


@cases("layers")
def layers():
    for layer, operation in LAYERS.items():
        for kind in REAL:
            for layout in ("channels_first", "channels_last"):
                name = f"{layer}.{str(kind).removeprefix('torch.')}.{layout}"
                yield f"case.{name}", partial(compute, operation, 1, image, name, kind, layout)
    for what, draw in RANDOM.items():
        yield f"case.random_{what}", lambda draw=draw: {"result": draw()}
