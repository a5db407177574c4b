# SPDX-License-Identifier: Apache-2.0
"""What is measured, how often and for how long."""
from dataclasses import dataclass

# theme -> figures of vgpu-bench. Throughput is also measured with several threads, and with several clients.
THEMES = {
    "enqueue": ("enqueue", "enqueue_asleep"),
    "round_trip": ("round_trip", "round_trip_worker_asleep", "launch_and_wait", "launch_and_wait_worker_asleep", "wait_client_asleep"),
    "records": ("records_posted", "records_batched"),
    "bytes": ("h2d_pageable", "d2h_pageable", "h2d_pinned", "d2h_pinned"),
    "start": ("first_call", "first_result"),
}
PARTS = "parts"  # the theme of vgpu-bench-parts


@dataclass(frozen=True)
class Plan:
    seconds: float  # of one repetition
    warm_up: float
    repetitions: int  # in one run
    rounds: int  # runs of each way, in alternation
    bytes: int  # of one copy
    threads: tuple[int, ...] = (1, 4, 16)
    copy_threads: tuple[int, ...] = (1, 4, 16)
    clients: tuple[int, ...] = (4, 16)  # besides one alone
    crowd_figures: tuple[str, ...] = THEMES["records"] + THEMES["bytes"]  # what several clients do
    start_seconds: float = 2.0  # of the theme "start"; at least three processes are started in any case
    part_seconds: float = 0.1
    once: bool = False  # starts and several clients in the first round only


FULL = Plan(seconds=0.3, warm_up=0.1, repetitions=5, rounds=3, bytes=32 << 20)
QUICK = Plan(seconds=0.1, warm_up=0.05, repetitions=3, rounds=1, bytes=8 << 20, start_seconds=0.5, part_seconds=0.02)
# For a section of gpu-test: two rounds of both ways in three quarters of a minute, where each start of a process costs half a second.
SECTION = Plan(
    seconds=0.05, warm_up=0.03, repetitions=3, rounds=2, bytes=32 << 20, copy_threads=(1, 4), clients=(4,), crowd_figures=("records_posted", "h2d_pinned"),
    start_seconds=0.1, part_seconds=0.03, once=True,
)  # fmt: skip
# Only shows that everything ends and gives figures.
SMOKE = Plan(
    seconds=0.002, warm_up=0, repetitions=1, rounds=1, bytes=1 << 20, threads=(1, 2), copy_threads=(1, 2), clients=(2,),
    crowd_figures=("records_posted",), start_seconds=0.001, part_seconds=0.001,
)  # fmt: skip
