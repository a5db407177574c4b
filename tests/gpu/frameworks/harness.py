# SPDX-License-Identifier: Apache-2.0
"""What a test program of a framework is, and how its results become comparable.

A module of programs names what it imports and how its programs are grouped; a program is a function that returns named
results. run_programs.py runs the programs of one group in one process:

    REQUIRES = ("torch",)                     # what must import, else the framework is missing here
    ENVIRONMENT = {"group": {"NAME": "x"}}    # set before the import, for the programs of one group
    def before_each(): ...                    # seeds the framework's random numbers
    def healthy(): ...                        # raises if an earlier program left the process unusable

    @program("group")
    def matmul(): return {"product": a @ b}

REQUIRES and ENVIRONMENT are literals: they are read without running the module.
"""
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Of a tensor whose bits may differ, this many values are kept, evenly spread.
KEPT_VALUES = 512


class Skip(Exception):
    """A program cannot say anything here; the text says why."""


@dataclass
class Close:
    """A result that two right runs may compute a little differently."""

    value: object
    rtol: float = 1e-3
    atol: float = 1e-5


@dataclass
class Told:
    """A result that is shown and not compared."""

    text: str


@dataclass(frozen=True)
class Program:
    name: str
    group: str
    body: Callable
    repeats: bool  # run a second time, warm: what the time ratio is of


PROGRAMS: list[Program] = []
_stretches: list[float] = []  # seconds of the running program's measured parts


@contextlib.contextmanager
def measured() -> Iterator[None]:
    """Only what a program does within counts as its time. What is to be measured ends with its results on the host."""
    begun = time.monotonic()
    yield
    _stretches.append(time.monotonic() - begun)


def take_measured() -> float | None:
    """The measured seconds since the last call; None if nothing was marked."""
    seconds = sum(_stretches) if _stretches else None
    _stretches.clear()
    return seconds


def program(group: str, repeats: bool = True) -> Callable:
    """Registers a function as a program. repeats=False: it poisons its process, or is too long to run twice."""

    def register(body: Callable) -> Callable:
        PROGRAMS.append(Program(body.__name__, group, body, repeats))
        return body

    return register


def cases(group: str) -> Callable:
    """Registers a generator of (name, function) pairs; each pair is a program of its own."""

    def register(generate: Callable[[], Iterator[tuple[str, Callable]]]) -> Callable:
        PROGRAMS.extend(Program(name, group, body, True) for name, body in generate())
        return generate

    return register


def described(results: dict) -> dict[str, dict]:
    """A program's results as JSON can hold them."""
    if not isinstance(results, dict) or not results:
        raise TypeError("a program returns a dict of results")
    return {name: describe(value) for name, value in results.items()}


def describe(value) -> dict:
    if isinstance(value, Close):
        return {"values": spread(value.value), "rtol": value.rtol, "atol": value.atol}
    if isinstance(value, Told):
        return {"told": value.text}
    if isinstance(value, (str, int, bool, list, type(None))):
        return {"exact": value}
    if isinstance(value, float):
        return {"exact": repr(value)}
    raw, kind, shape = array_bytes(value)
    # The spread values tell how far apart two results are whose bits differ.
    return {"sha256": hashlib.sha256(raw).hexdigest(), "kind": kind, "shape": shape, "values": spread(value)}


def array_bytes(value) -> tuple[bytes, str, list[int]]:
    """An array's elements in row order, its element type and its shape, whichever framework it is of."""
    kind, shape = str(value.dtype), [int(n) for n in value.shape]
    if hasattr(value, "detach"):  # PyTorch; as plain bytes, for numpy knows no bfloat16
        import torch

        flat = value.detach().resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
        return flat.view(torch.uint8).numpy().tobytes(), kind, shape
    return on_host(value).tobytes(), kind, shape


def on_host(value):
    import numpy

    if hasattr(value, "get") and hasattr(value, "__cuda_array_interface__"):  # CuPy
        return value.get()
    return numpy.asarray(value)


def spread(value) -> list:
    """Some of an array's values as plain numbers; of complex ones both parts."""
    if isinstance(value, (int, float)):
        return [number(value)]
    if hasattr(value, "detach"):
        import torch

        flat = value.detach().resolve_conj().resolve_neg().cpu().reshape(-1)
        flat = flat[:: max(1, flat.numel() // KEPT_VALUES)]
        flat = torch.view_as_real(flat).reshape(-1) if flat.is_complex() else flat
        return [number(n) for n in flat.to(torch.float64).tolist()]
    flat = on_host(value).reshape(-1)
    flat = flat[:: max(1, flat.size // KEPT_VALUES)]
    flat = flat.astype("complex128").view("float64") if flat.dtype.kind == "c" else flat.astype("float64")
    return [number(n) for n in flat.tolist()]


def number(value: float) -> float | str:
    """JSON has no word for what is not finite."""
    value = float(value)
    return value if value - value == 0 else str(value)
