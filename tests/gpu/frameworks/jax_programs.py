# SPDX-License-Identifier: Apache-2.0
"""JAX: transformations, XLA's libraries, control flow, and a small training, on one device."""
import os

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from harness import Told, measured, program

REQUIRES = ("jax",)
# Without preallocation, but for one group; and never much of the card.
ENVIRONMENT = {"preallocated": {"XLA_PYTHON_CLIENT_PREALLOCATE": "true", "XLA_PYTHON_CLIENT_MEM_FRACTION": "0.1"}}

if jax.default_backend() == "cpu" and os.environ.get("TEST_DEVICE") != "cpu":
    raise RuntimeError("jax finds no GPU")


def healthy() -> None:
    assert int(jnp.ones(2).sum()) == 2


def seeded(*shape: int, kind: str = "float32") -> jax.Array:
    """Made by numpy, so the same whatever the GPU."""
    return jnp.asarray(np.random.default_rng(1).standard_normal(shape), dtype=kind)


# ---- transformations --------------------------------------------------------------------------------------------------


@program("basics")
def devices():
    device = jax.devices()[0]
    return {"count": jax.local_device_count(), "platform": device.platform, "kind": device.device_kind, "sum": jnp.arange(1000.0).sum()}


@program("basics")
def jit():
    formula = jax.jit(lambda x, y: jnp.tanh(x) * y + jnp.sqrt(jnp.abs(x)).sum(0))
    return {"answer": formula(seeded(300, 200), seeded(300, 200))}


@program("basics")
def grad():
    x = seeded(64)
    return {"first": jax.jit(jax.grad(lambda v: (jnp.sin(v) ** 2).sum()))(x), "hessian": jax.hessian(lambda v: (v**4).sum())(x[:16])}


@program("basics")
def vmap():
    return {"products": jax.vmap(jnp.dot)(seeded(32, 100), seeded(32, 100)), "jacobian": jax.vmap(jax.jacfwd(jnp.tanh))(seeded(8, 10))}


@program("basics")
def pmap():
    total = jax.pmap(lambda x: lax.psum(x * 2, "devices"), axis_name="devices", devices=jax.local_devices()[:1])
    return {"total": total(seeded(1, 1000))}


@program("basics")
def random():
    normal, uniform, order = jax.random.split(jax.random.PRNGKey(42), 3)
    return {"normal": jax.random.normal(normal, (1000,)), "uniform": jax.random.uniform(uniform, (1000,)), "order": jax.random.permutation(order, 5000)}


@program("basics")
def donation():
    """A result takes its operand's memory; work is enqueued without waiting."""
    step, x = jax.jit(lambda x: x * 1.0001 + 1, donate_argnums=0), seeded(1 << 18)
    with measured():
        for _ in range(200):
            x = step(x)
        x.block_until_ready()
    return {"x": x}


@program("basics")
def sorting_and_indexing():
    x = seeded(50, 400)
    return {"sorted": jnp.sort(x), "order": jnp.argsort(x, axis=1), "top": lax.top_k(x, 5)[0], "set": x.at[:, 3].set(0), "added": x.at[jnp.array([1, 3])].add(1.0)}


# ---- libraries --------------------------------------------------------------------------------------------------------


@program("libraries")
def products():
    a, b = seeded(256, 128), seeded(128, 64)
    half = jnp.matmul(a.astype("bfloat16"), b.astype("bfloat16"))
    return {"single": a @ b, "bfloat16": half.astype("float32"), "exact": jnp.matmul(a, b, precision="highest"), "einsum": jnp.einsum("bij,bkj->bik", seeded(4, 16, 32), seeded(4, 8, 32))}


@program("libraries")
def linalg():
    a = seeded(32, 32)
    positive = a @ a.T + 32 * jnp.eye(32)
    return {"solve": jnp.linalg.solve(positive, a), "cholesky": jnp.linalg.cholesky(positive), "eigen": jnp.linalg.eigvalsh(positive),
            "singular": jnp.linalg.svd(a, compute_uv=False), "q": jnp.linalg.qr(a)[0]}


@program("fft")
def fft():
    return {"forward": jnp.fft.fft(seeded(4096)), "rows": jnp.fft.rfft(seeded(16, 1000)), "plane": jnp.fft.fft2(seeded(64, 48))}


@program("libraries")
def convolution():
    def convolve(x, w):
        return lax.conv_general_dilated(x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    x, w = seeded(4, 24, 24, 8), seeded(3, 3, 8, 16)
    return {"answer": jax.jit(convolve)(x, w), "gradient": jax.grad(lambda w: convolve(x, w).sum())(w)}


# ---- control flow and training ----------------------------------------------------------------------------------------


@program("loops")
def scan():
    def step(state, x):
        state = jnp.tanh(state @ weights + x)
        return state, state.sum()

    weights = seeded(32, 32) / 8
    last, sums = jax.jit(lambda xs: lax.scan(step, jnp.zeros(32), xs))(seeded(100, 32))
    return {"last": last, "sums": sums}


@program("loops")
def while_and_cond():
    collatz = jax.jit(lambda n: lax.while_loop(lambda s: s[0] != 1, lambda s: (lax.cond(s[0] % 2 == 0, lambda v: v // 2, lambda v: 3 * v + 1, s[0]), s[1] + 1), (n, 0))[1])
    return {"steps": [int(collatz(n)) for n in (7, 27, 97)], "power": lax.fori_loop(0, 10, lambda _, m: m @ m / 8, seeded(16, 16) / 4)}


@program("loops")
def training():
    def loss(weights, x, y):
        for w in weights[:-1]:
            x = jax.nn.relu(x @ w)
        return jnp.mean((x @ weights[-1] - y) ** 2)

    @jax.jit
    def step(weights, x, y):
        value, slopes = jax.value_and_grad(loss)(weights, x, y)
        return [w - 0.01 * s for w, s in zip(weights, slopes)], value

    weights, x, y = [seeded(64, 64) / 8 for _ in range(3)], seeded(128, 64), seeded(128, 64)
    weights, value = step(weights, x, y)
    with measured():
        for _ in range(50):
            weights, value = step(weights, x, y)
        value.block_until_ready()
    return {"loss": value, "weights": jnp.stack(weights)}


@program("loops")
def callback_to_host():
    """XLA calls back into Python in the midst of a program."""
    def formula(x):
        doubled = jax.pure_callback(lambda v: np.asarray(v) * 2, jax.ShapeDtypeStruct(x.shape, x.dtype), x)
        return doubled + 1

    return {"answer": jax.jit(formula)(seeded(100))}


@program("preallocated")
def preallocated_memory():
    x = seeded(1000, 1000)
    statistics = jax.devices()[0].memory_stats() or {}
    return {"product": x @ x, "limit": Told(f"{statistics.get('bytes_limit', 0) >> 20} MiB")}
