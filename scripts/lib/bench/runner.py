# SPDX-License-Identifier: Apache-2.0
"""Runs vgpu-bench: one process, or several at once that begin each repetition together."""
import json
import os
import pathlib
import selectors
import subprocess
import time
from statistics import median

from .plan import THEMES, Plan


class BenchFailed(Exception):
    """A benchmark did not end, ended badly, or printed what is no figure."""


def parse_lines(text: str) -> list[dict]:
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise BenchFailed(f"a line that is no JSON: {error}") from None


def run_process(command: list, environment: dict[str, str], deadline: float) -> list[dict]:
    name = pathlib.Path(command[0]).name
    left = max(1.0, deadline - time.monotonic())
    try:
        done = subprocess.run([str(c) for c in command], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=left, errors="replace")
    except subprocess.TimeoutExpired:
        raise BenchFailed(f"{name} did not end within {left:.0f} s and was killed") from None
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise BenchFailed(f"{name} ended with status {done.returncode}" + (f": {said[-1]}" if said else ""))
    return parse_lines(done.stdout)


def run_alone(program: pathlib.Path, themes: list[str], plan: Plan, environment: dict[str, str], deadline: float) -> list[dict]:
    """All figures of the themes in one client at a time, throughput with each number of threads."""
    groups = (
        ([t for t in themes if t not in ("bytes", "start")], plan.seconds, plan.warm_up, plan.repetitions, plan.threads),
        ([t for t in themes if t == "bytes"], plan.seconds, plan.warm_up, plan.repetitions, plan.copy_threads),
        ([t for t in themes if t == "start"], plan.start_seconds, 0, 1, (1,)),
    )
    lines = []
    for group, seconds, warm_up, repetitions, threads in groups:
        figures = ",".join(figure for theme in group for figure in THEMES[theme])
        if not figures:
            continue
        command = [program, "--only", figures, "--threads", ",".join(map(str, threads)), "--bytes", plan.bytes]
        command += ["--seconds", seconds, "--warm-up", warm_up, "--repetitions", repetitions]
        lines += run_process(command, environment, deadline)
    return [line | {"clients": 1} if "figure" in line else line for line in lines]


class GatedClient:
    """vgpu-bench --gate: waits for the word before each repetition."""

    def __init__(self, command: list, environment: dict[str, str]):
        self.process = subprocess.Popen([str(c) for c in command], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._unread = b""

    def read_line(self, deadline: float) -> dict:
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise BenchFailed("a client of several said nothing in time")
                chunk = os.read(self.process.stdout.fileno(), 65536)
                if not chunk:
                    raise BenchFailed(f"a client of several ended early: {self._complaint()}")
                self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        return parse_lines(line.decode(errors="replace"))[0]

    def await_ready(self, deadline: float) -> None:
        while "ready" not in self.read_line(deadline):
            pass

    def go(self) -> None:
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def await_figure(self, deadline: float) -> dict:
        while True:
            line = self.read_line(deadline)
            if "figure" in line:
                return line

    def finish(self, deadline: float) -> None:
        try:
            self.process.communicate(timeout=max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise BenchFailed("a client of several did not end") from None
        if self.process.returncode != 0:
            raise BenchFailed(f"a client of several ended with status {self.process.returncode}")

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def _complaint(self) -> str:
        said = self.process.stderr.read().decode(errors="replace").strip().splitlines()
        return said[-1] if said else "without a word"


def run_together(program: pathlib.Path, figure: str, clients: int, plan: Plan, environment: dict[str, str], deadline: float) -> dict:
    """One figure of throughput in several processes at once; what they did together, per repetition."""
    command = [program, "--only", figure, "--gate", "--threads", 1, "--seconds", plan.seconds, "--warm-up", plan.warm_up]
    command += ["--repetitions", plan.repetitions, "--bytes", plan.bytes]
    crowd: list[GatedClient] = []
    try:
        for _ in range(clients):
            crowd.append(GatedClient(command, environment))
        for _ in range(plan.repetitions):
            for client in crowd:
                client.await_ready(deadline)
            for client in crowd:
                client.go()
        lines = [client.await_figure(deadline) for client in crowd]
        for client in crowd:
            client.finish(deadline)
    finally:
        for client in crowd:
            client.kill()
    together = [sum(values) for values in zip(*(line["repetitions"] for line in lines))]
    return lines[0] | {
        "clients": clients,
        "samples": len(together),
        "repetitions": together,
        "median": median(together),
        "p99": max(together),
        "least": min(together),
        "most": max(together),
    }


def measure_parts(program: pathlib.Path, plan: Plan, environment: dict[str, str], deadline: float) -> list[dict]:
    command = [program, "--seconds", plan.part_seconds, "--repetitions", plan.repetitions]
    return [line for line in run_process(command, environment, deadline) if "part" in line]
