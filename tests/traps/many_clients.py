# SPDX-License-Identifier: Apache-2.0
"""many_clients.py BUILD [--clients N] [--at-once M] [--rounds R]: clients by the thousand leave nothing behind.

N clients one after another, then M at once, R times. Each initialises, makes a context, loads a module, launches, checks its
result and ends. The broker must stay what it was: memory, descriptors, children; and its log must grow by little.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import time
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "lib"))
from harness.layout import Layout  # noqa: E402
from harness.private_broker import BrokerFailed, PrivateBroker  # noqa: E402
from harness.processes import wait_until  # noqa: E402

CLIENT_SECONDS = 60
LOG_BYTES_A_CLIENT = 1000
# What the allocator may keep after the first clients, or take up again.
MEMORY_SLACK = 1 << 20
if "VGPU_TEST_SANITIZED" in os.environ:
    MEMORY_SLACK = 1 << 40  # a sanitizer keeps what was freed

PAGE = os.sysconf("SC_PAGESIZE")


class Failure(Exception):
    pass


@dataclass
class Holdings:
    """What a broker holds while it serves nobody. Descriptors must be as many as when it had served none."""

    memory: int
    threads: int
    log: int

    @classmethod
    def of(cls, broker: PrivateBroker, descriptors: int) -> "Holdings":
        proc = pathlib.Path(f"/proc/{broker.pid}")
        if not wait_until(lambda: not broker.workers() and len(os.listdir(proc / "fd")) <= descriptors, 15):
            raise Failure(f"workers or descriptors stay after their clients: {broker.workers()}, {len(os.listdir(proc / 'fd'))} descriptors, {descriptors} at the start")
        return cls(int((proc / "statm").read_text().split()[1]) * PAGE, len(os.listdir(proc / "task")), broker.log.stat().st_size)


def start(broker: PrivateBroker, layout: Layout) -> subprocess.Popen:
    words = [layout.program("vgpu-traps"), "--act", "computes_once", "libcuda.so.1"]
    return subprocess.Popen(words, env=broker.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(client: subprocess.Popen) -> None:
    try:
        output, _ = client.communicate(timeout=CLIENT_SECONDS)
    except subprocess.TimeoutExpired:
        client.kill()
        client.communicate()
        raise Failure(f"client {client.pid} did not end within {CLIENT_SECONDS} s") from None
    if client.returncode != 0 or output:
        raise Failure(f"a client ended with status {client.returncode}: {output.decode(errors='replace')}")


def one_after_another(broker: PrivateBroker, layout: Layout, clients: int) -> None:
    for _ in range(clients):
        finish(start(broker, layout))


def at_once(broker: PrivateBroker, layout: Layout, clients: int) -> None:
    running = [start(broker, layout) for _ in range(clients)]
    failures = []
    for client in running:
        try:
            finish(client)
        except Failure as failure:
            failures.append(failure)
    if failures:
        raise Failure(f"{len(failures)} of {clients} at once failed; the first: {failures[0]}")


def compare(before: Holdings, after: Holdings, clients: int) -> None:
    print(f"  broker: {before.memory >> 10} -> {after.memory >> 10} KiB resident, "
          f"{before.threads} -> {after.threads} threads, {(after.log - before.log) / clients:.0f} bytes of log a client", flush=True)
    if after.threads > before.threads:
        raise Failure("the broker keeps threads")
    if after.memory > before.memory + MEMORY_SLACK:
        raise Failure("the broker's memory grows")
    if after.log - before.log > LOG_BYTES_A_CLIENT * clients:
        raise Failure("the broker's log grows by too much")


def run(broker: PrivateBroker, layout: Layout, options: argparse.Namespace) -> None:
    descriptors = len(os.listdir(f"/proc/{broker.pid}/fd"))
    # The first ones show the broker everything it will keep.
    one_after_another(broker, layout, 5)
    at_once(broker, layout, options.at_once)
    before = Holdings.of(broker, descriptors)
    begun = time.monotonic()
    one_after_another(broker, layout, options.clients)
    taken = time.monotonic() - begun
    print(f"{options.clients} clients one after another: {taken:.1f} s, {1000 * taken / options.clients:.1f} ms each")
    between = Holdings.of(broker, descriptors)
    compare(before, between, options.clients)
    begun = time.monotonic()
    for _ in range(options.rounds):
        at_once(broker, layout, options.at_once)
    print(f"{options.rounds} times {options.at_once} clients at once: {time.monotonic() - begun:.1f} s")
    compare(between, Holdings.of(broker, descriptors), options.rounds * options.at_once)


def main() -> int:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--driver", default="sim")
    options = parser.parse_args()
    layout = Layout(options.build.resolve())
    try:
        # Clients of the round before count until their workers have ended.
        with PrivateBroker(layout, options.driver, settings=f"[broker]\nmax_clients_per_uid = {2 * options.at_once}\n") as broker:
            run(broker, layout, options)
    except (BrokerFailed, Failure) as failure:
        print(f"many_clients: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
