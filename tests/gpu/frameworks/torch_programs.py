# SPDX-License-Identifier: Apache-2.0
"""PyTorch's parts, each by a small program. What needs a process of its own is in torch_alone.py."""
import os

import torch
import torch.nn.functional as nnf
from torch import nn

from harness import Close, measured, program

REQUIRES = ("torch",)
DEVICE = os.environ.get("TEST_DEVICE", "cuda")


def before_each() -> None:
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
    torch.manual_seed(0)


def healthy() -> None:
    assert torch.ones(2, device=DEVICE).sum().item() == 2


def seeded(*shape: int, kind: torch.dtype = torch.float32) -> torch.Tensor:
    """Made on the processor, so the same whatever the GPU."""
    return torch.randn(*shape, dtype=torch.float64).to(kind).to(DEVICE)


# ---- autograd and training ------------------------------------------------------------------------------------------


@program("training")
def autograd():
    x, w = seeded(64, 32).requires_grad_(), seeded(32, 16).requires_grad_()
    (torch.tanh(x @ w).pow(2).sum() + (x.sin() * x.exp()).mean()).backward()
    return {"x": x.grad, "w": w.grad}


@program("training")
def second_derivatives():
    x = seeded(64).requires_grad_()
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    return {"second": second, "hessian": torch.func.hessian(lambda v: (v**4).sum())(x.detach())}


@program("training")
def training_with_adam():
    layers = [nn.Sequential(nn.Linear(128, 128), nn.ReLU()) for _ in range(4)]
    model = nn.Sequential(*layers).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    x, y = seeded(64, 128), seeded(64, 128)
    with measured():
        for _ in range(50):
            optimizer.zero_grad()
            loss = nnf.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
        loss.item()
    return {"loss": loss.detach(), "weights": torch.cat([p.detach().reshape(-1) for p in model.parameters()])}


@program("training")
def mixed_precision():
    """Autocast and a gradient scaler."""
    model = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 8)).to(DEVICE)
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler(DEVICE)
    x, y = seeded(128, 64), torch.arange(128, device=DEVICE) % 8
    for _ in range(10):
        optimizer.zero_grad()
        with torch.autocast(DEVICE, torch.float16):
            loss = nnf.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return {"loss": loss.detach(), "scale": scaler.get_scale(), "weights": model[0].weight.detach()}


@program("training")
def attention():
    q, k, v = (seeded(2, 4, 128, 64, kind=torch.float16).requires_grad_() for _ in range(3))
    answer = nnf.scaled_dot_product_attention(q, k, v, is_causal=True)
    answer.float().sum().backward()
    return {"answer": answer.detach(), "by_value": v.grad, "by_query": Close(q.grad, 1e-2, 1e-2)}


# ---- cuDNN ------------------------------------------------------------------------------------------------------------


@program("cudnn")
def convolution_training():
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3, 2)).to(DEVICE)
    answer = model(seeded(4, 3, 32, 32))
    answer.square().mean().backward()
    return {"answer": answer.detach(), "gradient": model[0].weight.grad}


@program("cudnn")
def convolution_shapes():
    x1, x3 = seeded(2, 8, 100), seeded(1, 4, 8, 16, 16)
    x2 = seeded(2, 8, 24, 24, kind=torch.float16).to(memory_format=torch.channels_last)
    return {"one": nnf.conv1d(x1, seeded(6, 8, 5), dilation=2), "three": nnf.conv3d(x3, seeded(2, 4, 3, 3, 3)),
            "transposed": nnf.conv_transpose2d(seeded(2, 8, 12, 12), seeded(8, 4, 4, 4), stride=2),
            "grouped": nnf.conv2d(x2, seeded(8, 2, 3, 3, kind=torch.float16), groups=4)}


@program("cudnn")
def recurrent():
    lstm, gru = nn.LSTM(32, 48, 2, batch_first=True).to(DEVICE), nn.GRU(32, 24).to(DEVICE)
    x = seeded(4, 20, 32)
    answer, _ = lstm(x)
    answer.sum().backward()
    return {"lstm": answer.detach(), "gradient": lstm.weight_ih_l0.grad, "gru": gru(x)[0].detach()}


# ---- cuFFT ------------------------------------------------------------------------------------------------------------


@program("fft")
def fft_complex():
    x = torch.complex(seeded(4096), seeded(4096))
    return {"forward": torch.fft.fft(x), "back": Close(torch.fft.ifft(torch.fft.fft(x)))}


@program("fft")
def fft_real_and_many():
    x = seeded(16, 1000)
    return {"rows": torch.fft.rfft(x), "plane": torch.fft.fft2(seeded(64, 48)), "double": torch.fft.rfft(x.double(), dim=0)}


@program("fft")
def spectrogram():
    return {"stft": torch.stft(seeded(8000), 256, window=torch.hann_window(256, device=DEVICE), return_complex=True)}


# ---- cuSOLVER and cuSPARSE --------------------------------------------------------------------------------------------


@program("linalg")
def solve_and_invert():
    a = seeded(64, 64, kind=torch.float64) + 8 * torch.eye(64, device=DEVICE, dtype=torch.float64)
    return {"solve": torch.linalg.solve(a, seeded(64, 4, kind=torch.float64)), "inverse": torch.linalg.inv(a), "determinant": torch.linalg.det(a)}


@program("linalg")
def decompositions():
    a = seeded(48, 48)
    positive = a @ a.T + 48 * torch.eye(48, device=DEVICE)
    q, r = torch.linalg.qr(a)
    return {"cholesky": torch.linalg.cholesky(positive), "singular": torch.linalg.svdvals(a), "eigen": torch.linalg.eigvalsh(positive), "q": q, "r": r}


@program("linalg")
def batched_solvers():
    a = seeded(32, 16, 16) + 6 * torch.eye(16, device=DEVICE)
    lu, pivots = torch.linalg.lu_factor(a)
    return {"lu": lu, "pivots": pivots, "least_squares": torch.linalg.lstsq(seeded(8, 20, 6), seeded(8, 20, 2)).solution}


@program("linalg")
def sparse_products():
    dense = seeded(200, 300) * (torch.rand(200, 300) < 0.05).to(DEVICE)
    rows, points = dense.to_sparse_csr(), dense.to_sparse_coo().coalesce()
    right = seeded(300, 8)
    return {"csr": rows @ right, "coo": torch.sparse.mm(points, right), "indices": points.indices(), "vector": rows @ right[:, 0]}


@program("linalg")
def sparse_gradient():
    values = seeded(50).requires_grad_()
    indices = torch.stack([torch.arange(50), torch.arange(50) * 7 % 40]).to(DEVICE)
    torch.sparse.mm(torch.sparse_coo_tensor(indices, values, (50, 40)), seeded(40, 4)).square().sum().backward()
    return {"gradient": values.grad}


# ---- streams, events, graphs ------------------------------------------------------------------------------------------


@program("streams")
def streams_and_events():
    streams = [torch.cuda.Stream(priority=-(n % 2)) for n in range(4)]
    x, parts, done = seeded(512, 512), [], torch.cuda.Event()
    start = torch.cuda.current_stream().record_event()
    for stream in streams:
        with torch.cuda.stream(stream):
            stream.wait_event(start)
            parts.append(torch.tanh(x @ x))
            x.record_stream(stream)
            parts[-1].record_stream(torch.cuda.current_stream())
    for stream in streams:
        torch.cuda.current_stream().wait_stream(stream)
    done.record()
    done.synchronize()
    return {"sum": torch.stack(parts).sum(0), "done": done.query()}


@program("streams")
def event_times():
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    x = seeded(1024, 1024)
    begin.record()
    for _ in range(20):
        x = torch.tanh(x @ x)
    end.record()
    end.synchronize()
    return {"result": x, "plausible": 0 < begin.elapsed_time(end) < 10_000}


@program("streams")
def pinned_copies():
    there = torch.arange(1 << 20, dtype=torch.float32).pin_memory()
    on_gpu = there.to(DEVICE, non_blocking=True) * 2
    back = torch.empty(1 << 20, pin_memory=True)
    back.copy_(on_gpu, non_blocking=True)
    torch.cuda.synchronize()
    return {"back": back, "pinned": there.is_pinned()}


@program("streams")
def memory_figures():
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    x = torch.ones(1 << 22, device=DEVICE)
    free, total = torch.cuda.mem_get_info()
    properties = torch.cuda.get_device_properties(0)
    return {"grown": torch.cuda.memory_allocated() - before, "peak": torch.cuda.max_memory_allocated() >= x.nbytes, "less_free_than_total": free < total,
            "total": total, "name": properties.name, "capability": list(torch.cuda.get_device_capability()), "processors": properties.multi_processor_count}


def captured(work, *inputs: torch.Tensor):
    """A graph of the work, warmed up on a side stream as PyTorch asks for, and its output."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work(*inputs)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        output = work(*inputs)
    return graph, output


@program("graphs")
def graph_replay():
    x, w = seeded(256, 256), seeded(256, 256) / 16
    graph, output = captured(lambda x: torch.relu(torch.relu(x @ w) @ w), x)
    answers = []
    with measured():
        for turn in range(100):
            x.fill_(turn / 100)
            graph.replay()
        answers.append(output.cpu())
    return {"last": answers[0]}


@program("graphs")
def graph_of_training():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, capturable=True)
    x, y = seeded(32, 64), seeded(32, 1)

    def step(x):
        optimizer.zero_grad(set_to_none=True)
        loss = nnf.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    graph, loss = captured(step, x)
    for _ in range(20):
        graph.replay()
    return {"loss": loss.detach(), "weight": model[0].weight.detach()}


@program("graphs")
def graph_with_branches():
    x, other = seeded(128, 128), torch.cuda.Stream()

    def work(x):
        other.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(other):
            left = x.sin()
        right = x.cos()
        torch.cuda.current_stream().wait_stream(other)
        return left + right

    graph, output = captured(work, x)
    graph.replay()
    return {"output": output}


@program("graphs")
def graphed_callable():
    model = nn.Linear(32, 32).to(DEVICE)
    fast = torch.cuda.make_graphed_callables(model, (seeded(8, 32),))
    answer = fast(seeded(8, 32))
    answer.sum().backward()
    return {"answer": answer.detach(), "gradient": model.weight.grad}
