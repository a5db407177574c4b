# SPDX-License-Identifier: Apache-2.0
"""NCCL over two GPUs: both in one process, and one process each."""
import os
import tempfile

import torch
import torch.distributed as dist
import torch.multiprocessing as processes

from harness import Skip, program

REQUIRES = ("torch", "torch.distributed")
COUNT = 1 << 20
JOIN_SECONDS = 90


def need_two_gpus() -> None:
    if torch.cuda.device_count() < 2:
        raise Skip("it needs two GPUs")


def seeded(rank: int, kind: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(COUNT, generator=torch.Generator().manual_seed(rank)).to(kind).to(f"cuda:{rank}")


@program("one_process")
def copies_between_gpus():
    need_two_gpus()
    x = seeded(0)
    y = x.to("cuda:1", non_blocking=True) * 2
    return {"there": y, "back": y.to("cuda:0") + x, "peers": torch.cuda.can_device_access_peer(0, 1)}


@program("one_process")
def collectives_of_one_process():
    need_two_gpus()
    from torch.cuda import nccl

    tensors, gathered = [seeded(0), seeded(1)], [torch.zeros(2 * COUNT, device=f"cuda:{n}") for n in range(2)]
    nccl.all_gather(tensors, gathered)
    summed = [t.clone() for t in tensors]
    nccl.all_reduce(summed)
    broadcast = [tensors[0].clone(), torch.zeros(COUNT, device="cuda:1")]
    nccl.broadcast(broadcast)
    return {f"{what} {n}": t for what, ts in (("sum", summed), ("gathered", gathered), ("broadcast", broadcast)) for n, t in enumerate(ts)}


def member(rank: int, folder: str) -> None:
    """One process of a group: its results go to a file."""
    torch.cuda.set_device(rank)
    dist.init_process_group("nccl", init_method=f"file://{folder}/meet", rank=rank, world_size=2, device_id=torch.device("cuda", rank))
    answers = {}
    for kind in (torch.float32, torch.float16):
        x = seeded(rank, kind)
        gathered = [torch.zeros_like(x) for _ in range(2)]
        dist.all_gather(gathered, x)
        dist.all_reduce(x)
        answers |= {f"sum {kind}": x.cpu(), f"gathered {kind}": torch.cat(gathered).cpu()}
    half = torch.zeros(COUNT // 2, device=x.device)
    dist.reduce_scatter_tensor(half, seeded(rank))
    dist.barrier()
    torch.save(answers | {"scattered": half.cpu()}, f"{folder}/{rank}")
    dist.destroy_process_group()


@program("process_each", repeats=False)
def one_process_for_each_gpu():
    need_two_gpus()
    os.environ.setdefault("NCCL_DEBUG", "WARN")
    with tempfile.TemporaryDirectory() as folder:
        context = processes.get_context("spawn")
        members = [context.Process(target=member, args=(rank, folder), daemon=True) for rank in range(2)]
        for process in members:
            process.start()
        for process in members:
            process.join(JOIN_SECONDS)
        ended = [process.exitcode for process in members]
        for process in members:
            process.kill()
        if ended != [0, 0]:
            raise RuntimeError(f"the two processes ended with status {ended} (None: not within {JOIN_SECONDS} s)")
        return {f"{name} of {rank}": t for rank in range(2) for name, t in torch.load(f"{folder}/{rank}").items()}
