#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""torch_check.py [--repetitions N] [--size N] [--steps N] [--only PART]...

Seeded PyTorch work, repeated: products of two SIZE x SIZE matrices in three precisions, and the training of a small
network. Prints for every repetition "hash WHAT REPETITION SHA256" of the result's bytes; two runs compute the same bits
exactly if they print the same lines. Lines that begin with "time" tell how long a part took.
"""
import argparse
import hashlib
import time

import torch

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def digest(tensors: list[torch.Tensor]) -> str:
    sha = hashlib.sha256()
    for tensor in tensors:
        # As plain bytes: numpy knows no bfloat16.
        sha.update(memoryview(tensor.detach().contiguous().cpu().reshape(-1).view(torch.uint8).numpy()))
    return sha.hexdigest()


def matrix_product(precision: torch.dtype, size: int) -> str:
    torch.manual_seed(1234)
    a = torch.randn(size, size, device="cuda").to(precision)
    b = torch.randn(size, size, device="cuda").to(precision)
    return digest([a @ b])


def train_network(steps: int) -> str:
    torch.manual_seed(0)
    layers = [torch.nn.Sequential(torch.nn.Linear(256, 256), torch.nn.ReLU()) for _ in range(8)]
    model = torch.nn.Sequential(*layers).to("cuda")
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x, y = torch.randn(64, 256, device="cuda"), torch.randn(64, 256, device="cuda")
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    return digest([loss, *model.parameters()])


def repeat(what: str, repetitions: int, run) -> None:
    begun = time.monotonic()
    for repetition in range(repetitions):
        print("hash", what, repetition, run(), flush=True)
    print(f"time {what} {(time.monotonic() - begun) / repetitions:.3f} s each", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--only", action="append", choices=[*PRECISIONS, "mlp"])
    options = parser.parse_args()
    wanted = options.only or [*PRECISIONS, "mlp"]
    print("torch", torch.__version__, "on", torch.cuda.get_device_name(0), flush=True)
    for name, precision in PRECISIONS.items():
        if name in wanted:
            repeat(f"matmul-{name}", options.repetitions, lambda precision=precision: matrix_product(precision, options.size))
    if "mlp" in wanted:
        repeat("mlp-training", options.repetitions, lambda: train_network(options.steps))


if __name__ == "__main__":
    main()
