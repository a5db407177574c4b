#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""load_client.py training|inference|replay|churn [--rounds N]

One client of a mixed load. Does the same seeded work round after round and prints "round NUMBER SHA256" for each: every
round of every process of a kind has the same results. Ends after N rounds, or when its standard input does.
"""
import argparse
import hashlib
import os
import select
import sys
from collections.abc import Callable

import torch
import torch.nn.functional as nnf

DEVICE = os.environ.get("TEST_DEVICE", "cuda")
Round = Callable[[], list[torch.Tensor]]


def training() -> Round:
    def steps() -> list[torch.Tensor]:
        model = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3), torch.nn.BatchNorm2d(32), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(32 * 900, 10)).to(DEVICE)
        optimizer = torch.optim.Adam(model.parameters(), 1e-3)
        images, labels = torch.randn(64, 3, 32, 32).to(DEVICE), (torch.arange(64) % 10).to(DEVICE)
        for _ in range(40):
            optimizer.zero_grad()
            loss = nnf.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        return [loss.detach(), *model.state_dict().values()]

    return steps


def inference() -> Round:
    words = torch.nn.Embedding(30000, 256)
    model = torch.nn.Sequential(words, torch.nn.TransformerEncoder(torch.nn.TransformerEncoderLayer(256, 4, 1024, batch_first=True), 4)).to(DEVICE).eval()

    def read() -> list[torch.Tensor]:
        with torch.no_grad():
            return [model(torch.randint(0, 30000, (4, 128)).to(DEVICE)) for _ in range(20)]

    return read


def replay() -> Round:
    """A graph that was captured once."""
    x, w = torch.randn(256, 256).to(DEVICE), torch.randn(256, 256).to(DEVICE) / 16

    def work() -> torch.Tensor:
        return torch.tanh(torch.tanh(x @ w) @ w)

    for _ in range(3):
        work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            output = work()

        def launch() -> torch.Tensor:
            graph.replay()
            return output
    else:
        launch = work

    def launches() -> list[torch.Tensor]:
        answers = []
        for turn in range(300):
            x.fill_(turn / 300)
            answer = launch()
            if turn % 100 == 99:
                answers.append(answer.cpu())
        return answers

    return launches


def churn() -> Round:
    """Memory of the GPU and pinned memory, streams and events: had and given back."""
    def turns() -> list[torch.Tensor]:
        kept = []
        for turn in range(150):
            size = (turn * 7919 % 4000 + 1) * 256
            stream = torch.cuda.Stream() if torch.cuda.is_available() else None
            with torch.cuda.stream(stream):
                there = torch.full((size,), float(turn), pin_memory=torch.cuda.is_available())
                kept.append(there.to(DEVICE, non_blocking=True) * 2)
            if torch.cuda.is_available():
                stream.record_event().synchronize()
            if len(kept) > 20:
                kept.pop(turn % 20)
            if turn % 50 == 49 and torch.cuda.is_available():
                torch.cuda.empty_cache()
        return [t.double().sum() for t in kept]

    return turns


KINDS = {"training": training, "inference": inference, "replay": replay, "churn": churn}


def digest(tensors: list[torch.Tensor]) -> str:
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def input_ended() -> bool:
    return bool(select.select([sys.stdin], [], [], 0)[0]) and not sys.stdin.buffer.read1(1)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--rounds", type=int, default=sys.maxsize)
    options = parser.parse_args()
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(0)
    work, number = KINDS[options.kind](), 0
    while number < options.rounds and (options.rounds != sys.maxsize or not input_ended()):
        torch.manual_seed(1)
        print("round", number, digest(work()), flush=True)
        number += 1


if __name__ == "__main__":
    main()
