# SPDX-License-Identifier: Apache-2.0
"""What of PyTorch needs a process of its own: allocators, other processes, compilers, and what goes wrong on purpose."""
import ctypes
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import torch

from harness import Skip, Told, measured, program

REQUIRES = ("torch",)
DEVICE = os.environ.get("TEST_DEVICE", "cuda")
# PyTorch reads the newer name too; the older one is known to every version.
ENVIRONMENT = {
    "expandable": {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True", "PYTORCH_ALLOC_CONF": "expandable_segments:True"},
    "malloc_async": {"PYTORCH_CUDA_ALLOC_CONF": "backend:cudaMallocAsync", "PYTORCH_ALLOC_CONF": "backend:cudaMallocAsync"},
}
TEN_TIB = 10 << 40


def before_each() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.manual_seed(0)


def healthy() -> None:
    assert torch.ones(2, device=DEVICE).sum().item() == 2


def churn() -> dict:
    """Tensors of many sizes come and go, the cache is emptied in between; what stays is right."""
    kept, total = [], 0.0
    with measured():
        for turn in range(200):
            kept.append(torch.full(((turn * 7919 % 1500 + 1) * 1024,), float(turn), device=DEVICE))
            if turn % 3:
                total += kept.pop(turn % len(kept))[-1].item()
            if turn % 50 == 49:
                torch.cuda.empty_cache()
    return {"total": total, "kept": torch.stack([t.double().sum() for t in kept]), "backend": torch.cuda.get_allocator_backend()}


@program("expandable")
def expandable_segments():
    return churn()


@program("malloc_async")
def malloc_async_backend():
    return churn()


@program("loader", repeats=False)
def loader_with_workers():
    """Two worker processes and a thread that pins what they read."""
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.arange(4000.0).reshape(1000, 4))
    loader = DataLoader(data, batch_size=100, num_workers=2, pin_memory=True, shuffle=True, generator=torch.Generator().manual_seed(7))
    pinned, sums = True, []
    for _ in range(2):
        for (batch,) in loader:
            pinned = pinned and batch.is_pinned()
            sums.append(batch.to(DEVICE, non_blocking=True).square().sum())
    return {"sums": torch.stack(sums), "pinned": pinned}


# ---- compilers --------------------------------------------------------------------------------------------------------


@program("compile")
def compiled_function():
    function = torch.compile(lambda x, y: (torch.sin(x) * 2 + y.relu()).sum(1))
    return {"answer": function(torch.randn(256, 300).to(DEVICE), torch.randn(256, 300).to(DEVICE))}


@program("compile", repeats=False)
def compiled_training():
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.LayerNorm(64), torch.nn.GELU(), torch.nn.Linear(64, 4)).to(DEVICE)
    fast, x = torch.compile(model), torch.randn(32, 64).to(DEVICE)
    loss = fast(x).square().mean()
    loss.backward()
    return {"loss": loss.detach(), "gradient": model[0].weight.grad}


@program("compile_graphs", repeats=False)
def compiled_with_graphs():
    function = torch.compile(lambda x: torch.tanh(x @ x).softmax(1), mode="reduce-overhead")
    x = torch.randn(128, 128).to(DEVICE)
    for _ in range(4):
        torch.compiler.cudagraph_mark_step_begin()
        answer = function(x).clone()
    return {"answer": answer}


KERNEL = r"""
extern "C" __global__ void scale_and_add(const float* x, float* y, float factor, int count) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) y[i] = factor * x[i] + y[i];
}
"""


@program("nvcc")
def kernel_built_with_nvcc():
    """A shared library of a kernel and its launch, called with PyTorch's pointers and stream."""
    if not shutil.which("nvcc"):
        raise Skip("there is no nvcc")
    launch = r"""extern "C" int run(const float* x, float* y, float factor, int count, cudaStream_t stream) {
      scale_and_add<<<64, 128, 0, stream>>>(x, y, factor, count); return cudaGetLastError(); }"""
    with tempfile.TemporaryDirectory() as folder:
        source, library = pathlib.Path(folder, "kernel.cu"), pathlib.Path(folder, "kernel.so")
        source.write_text(KERNEL + launch)
        major, minor = torch.cuda.get_device_capability()
        subprocess.run(["nvcc", "-shared", "-Xcompiler", "-fPIC", f"-arch=sm_{major}{minor}", "-o", library, source], check=True, timeout=100)
        run = ctypes.CDLL(str(library)).run
    x, y = torch.randn(100_000).to(DEVICE), torch.ones(100_000, device=DEVICE)
    stream = torch.cuda.current_stream().cuda_stream
    status = run(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_float(2.5), x.numel(), ctypes.c_void_p(stream))
    return {"status": status, "y": y}


@program("extension", repeats=False)
def extension():
    """torch.utils.cpp_extension: C++ and CUDA built into a Python module."""
    if not shutil.which("ninja") or not shutil.which("nvcc"):
        raise Skip("there is no ninja, or no nvcc")
    from torch.utils import cpp_extension

    signature = "torch::Tensor scaled(torch::Tensor x, torch::Tensor y, double factor)"
    body = "{ scale_and_add<<<64, 128>>>(x.data_ptr<float>(), y.data_ptr<float>(), (float)factor, (int)x.numel()); return y; }"
    os.environ.setdefault("TORCH_CUDA_ARCH_LIST", ".".join(map(str, torch.cuda.get_device_capability())))
    module = cpp_extension.load_inline("vgpu_scaled", cpp_sources=signature + ";", cuda_sources=KERNEL + signature + body, functions=["scaled"])
    return {"y": module.scaled(torch.randn(10_000).to(DEVICE), torch.ones(10_000, device=DEVICE), 1.5)}


# ---- other processes --------------------------------------------------------------------------------------------------


def double_what_comes(tensors, answers) -> None:
    """In another process: sees the same memory, and writes to it."""
    tensor = tensors.get(timeout=40)
    tensor.mul_(2)
    torch.cuda.synchronize()
    answers.put(tensor.sum().item())
    tensors.get(timeout=40)


@program("shared", repeats=False)
def tensor_shared_with_a_process():
    import torch.multiprocessing as processes

    context = processes.get_context("spawn")
    tensors, answers = context.Queue(), context.Queue()
    other = context.Process(target=double_what_comes, args=(tensors, answers), daemon=True)
    other.start()
    tensor = torch.arange(1000.0, device=DEVICE)
    tensors.put(tensor)
    try:
        there = answers.get(timeout=40)
        here = tensor.sum().item()
        tensors.put(None)
        other.join(20)
    finally:
        other.kill()
    return {"there": there, "here": here, "status": other.exitcode}


# ---- what goes wrong on purpose ---------------------------------------------------------------------------------------


def without_numbers(text: str) -> str:
    """Sizes, addresses and process ids differ from run to run, and so do the other processes on the GPU."""
    text = re.sub(r"Process \d+ has [\d.]+ \S+ memory in use\.", "", text)
    return re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?( [KMGT]iB| bytes)?", "N", " ".join(text.split()))


@program("out_of_memory")
def out_of_memory():
    """By a limit of PyTorch's own, and by a size that no card has; what was there stays, and work goes on."""
    x, messages = torch.arange(1000.0, device=DEVICE), []
    for fraction, size in ((0.02, torch.cuda.mem_get_info()[1] // 10), (1.0, TEN_TIB)):
        torch.cuda.set_per_process_memory_fraction(fraction)
        try:
            torch.empty(size, dtype=torch.uint8, device=DEVICE)
        except torch.OutOfMemoryError as error:
            messages.append(without_numbers(str(error).split(" See documentation")[0]))
    return {"messages": messages, "kept": x, "after": torch.ones(1 << 20, device=DEVICE).cumsum(0)[-1].item()}


ASSERTION = """
import torch
x = torch.ones(4, device="cuda")
try:
    x[torch.tensor([10], device="cuda")]
    torch.cuda.synchronize()
except Exception as error:
    print(type(error).__name__, str(error).splitlines()[0])
try:
    torch.ones(4, device="cuda").sum().item()
except Exception as error:
    print("after:", type(error).__name__, str(error).splitlines()[0])
"""


@program("assertion", repeats=False)
def device_assertion():
    """The text that the device prints, the error, and that the process stays broken."""
    done = subprocess.run([sys.executable, "-c", ASSERTION], capture_output=True, text=True, timeout=100)
    printed = sorted({line.strip() for line in (done.stdout + done.stderr).splitlines() if "Assertion" in line})
    return {"errors": [line for line in done.stdout.splitlines() if "Assertion" not in line], "printed": printed, "status": done.returncode}


@program("profiler", repeats=False)
def profiler():
    """Times of the GPU's side need CUPTI, which the driver's own libraries answer: told, not compared."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        x = torch.ones(100, device=DEVICE).cumsum(0)
        torch.cuda.synchronize()
    events = seen.key_averages()
    on_gpu = [e.key for e in events if "cuda" in str(e.device_type).lower()]
    return {"result": x, "sees_calls": any("cumsum" in e.key for e in events), "kernels": Told(f"{len(on_gpu)} entries of the GPU")}
