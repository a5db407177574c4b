# SPDX-License-Identifier: Apache-2.0
"""Sections of gpu-test that run our own small programs: demo, clean runs, faults, idleness, conformance."""
import fnmatch
import os
import time
from collections import Counter

from harness.ends import bad_ends
from harness.private_broker import SteadyClient
from harness.processes import activity_of, is_alive, wait_until

from .context import NATIVE, REMOTED, Context, Result, table


def programs(context: Context) -> list[str]:
    """The demo programs that were built; the CUDA C++ one only where nvcc was."""
    return [name for name in ("demo", "demo_driver") if context.layout.has(name)]


def run_demo(context: Context) -> Result:
    """Native and remoted give the same output, and the results are right."""
    result = Result()
    names = programs(context) + [name for name in ("share_pair",) if context.layout.has(name)]
    for name in names:
        runs = {way: context.run(way, [context.layout.program(name)], name) for way in context.ways(name)}
        for way, run in runs.items():
            if not run.ok:
                result.fail(f"{name}, {way}: {run.complaint()}")
        if len({run.out for run in runs.values() if run.ok}) > 1:
            result.fail(f"{name}: the output differs; compare {context.section}-{name}.native.out and .remoted.out")
        result.lines += [f"  | {line}" for line in runs[REMOTED].out.splitlines()]
    result.summary = f"{', '.join(names)}: right" if result.passed else "see above"
    return result


def run_clean(context: Context, repetitions: int) -> Result:
    """Start, compute, end: exit status 0, the right output, nothing on standard error, and the worker goes too."""
    result = Result()
    for name in programs(context):
        reference = context.run(context.ways(name)[0], [context.layout.program(name)], f"{name}-reference")
        if not reference.ok:
            result.fail(f"{name}, {context.ways(name)[0]}: {reference.complaint()}")
            continue
        clean = complaints = 0
        for _ in range(repetitions):
            if complaints == 3:
                break  # the rest would only cost time
            complaint = complaint_of_one_run(context, name, reference.out)
            clean += not complaint
            if complaint:
                complaints += 1
                result.fail(f"{name}: {complaint}")
        result.passed = result.passed and clean == repetitions
        result.summary += f"{'; ' if result.summary else ''}{name}: {clean} of {repetitions}"
    return result


def complaint_of_one_run(context: Context, name: str, expected: str) -> str:
    """What was not clean about one remoted run; empty if all was."""
    run = context.run(REMOTED, [context.layout.program(name)], name)
    if not run.ok:
        return run.complaint()
    if run.out != expected:
        return "its output differs from that of the reference run"
    if run.err:
        return f"it wrote to standard error: {run.err.splitlines()[0]}"
    if not wait_until(lambda: not context.broker.workers(), 10):
        return f"10 s after its end worker {context.broker.workers()} is still there"
    return ""


def run_ends(context: Context, count: int) -> Result:
    """Remoted only: what a driver does with threads that use a context while it ends is nowhere said."""
    bad = bad_ends(context.layout, context.broker.environment(), range(count), seconds=min(40, context.time_left()))
    result = Result(passed=not bad, summary=f"{count - len(bad)} of {count}")
    for seed, said in bad[:10]:
        result.fail(f"ends {seed}: {said}")
    if "broke the protocol" in context.broker.log_tail(100_000):
        result.fail("the broker's log says that a client broke the protocol")
    return result


def run_fault(context: Context) -> Result:
    """One client faults and is told so on every later call; another's results stay right; a third works afterwards."""
    result = Result()
    driver_program = context.layout.program("demo_driver")
    with SteadyClient(driver_program, context.environment(REMOTED), min(30, context.time_left())) as other:
        answers = [other.first_answer]
        faulty = context.run(REMOTED, [driver_program, "--fault"], "faulty")
        answers.append(other.ask())
        third = context.run(REMOTED, [driver_program], "third")
        answers.append(other.ask())
        status, errors = other.finish()
    result.lines += [f"  | {line}" for line in faulty.out.splitlines()]
    if not faulty.ok:
        result.fail(f"the client that faulted: {faulty.complaint()}")
    if answers != ["right"] * 3:
        result.fail(f"the other client's results before the fault, after it, and after the third client: {', '.join(answers)}")
    if status != 0 or errors:
        result.fail(f"the other client did not end cleanly: exit status {status} {errors.strip()}")
    if not third.ok:
        result.fail(f"the client started after the fault: {third.complaint()}")
    result.summary = "700 on every later call; the other's results right; a third works" if result.passed else "see above"
    return result


# Threads that the NVIDIA driver starts in every process that uses it; one of them looks around ten times a second, native or not.
DRIVER_THREADS = "cuda"


def native_idle_row(context: Context, seconds: int) -> tuple:
    """What the same idle program costs on the driver directly: the driver's own threads wake there, too."""
    with SteadyClient(context.layout.program("demo_driver"), context.environment(NATIVE), min(30, context.time_left())) as client:
        time.sleep(1)
        before = activity_of(client.pid)
        time.sleep(seconds)
        used = activity_of(client.pid).since(before)
        threads = len(os.listdir(f"/proc/{client.pid}/task"))
        client.ask()
        client.finish()
    return ("native client", threads, f"{used.without(DRIVER_THREADS) / seconds:.1f}", f"{used.only(DRIVER_THREADS) / seconds:.1f}", f"{used.cpu_seconds:.2f}")


def run_idle(context: Context, seconds: int = 5) -> Result:
    """After one idle second, broker, worker and client wake at most once a second each and use no CPU time."""
    result = Result()
    with SteadyClient(context.layout.program("demo_driver"), context.environment(REMOTED), min(30, context.time_left())) as client:
        pids = {"broker": context.broker.pid, "client": client.pid}
        pids |= {f"worker {pid}": pid for pid in context.broker.workers()}
        if len(pids) < 3:
            result.fail("no worker was found as a child of the broker")
        time.sleep(1)  # the second of idleness after which the promise holds
        before = {who: activity_of(pid) for who, pid in pids.items()}
        time.sleep(seconds)
        rows = []
        for who, pid in pids.items():
            if not is_alive(pid):
                result.fail(f"{who} ended while it should have been idle")
                continue
            used = activity_of(pid).since(before[who])
            ours, drivers = used.without(DRIVER_THREADS), used.only(DRIVER_THREADS)
            rows.append((who, len(os.listdir(f"/proc/{pid}/task")), f"{ours / seconds:.1f}", f"{drivers / seconds:.1f}", f"{used.cpu_seconds:.2f}"))
            # One more than one a second: both ends of the interval may cut a second.
            if ours > seconds + 1:
                result.fail(f"{who} woke {ours} times in {seconds} s: {used.wakeups}")
            if used.cpu_seconds > 0.011:  # where the kernel counts in ticks, one
                result.fail(f"{who} used {used.cpu_seconds:.2f} s of CPU time in {seconds} idle seconds")
        answer = client.ask()
        status, _ = client.finish()
    if answer != "right" or status != 0:
        result.fail(f"after being idle the client computed '{answer}' and ended with status {status}")
    if context.real_driver:
        rows.append(native_idle_row(context, seconds))
    result.lines = table(rows, ("process", "threads", "wake-ups/s", "the driver's/s", "CPU s")) + result.lines
    result.summary = f"at most one wake-up a second each over {seconds} s, no CPU time" if result.passed else "see above"
    return result


def read_tsv(path) -> dict[str, list[str]]:
    """Case name -> the other columns."""
    rows = [line.rstrip("\n").split("\t") for line in path.open(errors="replace") if line.strip() and not line.startswith("#")]
    return {row[0]: row[1:] for row in rows if row[0] not in ("case", "name")}


def read_reasons(path) -> dict[str, str]:
    """Case -> why it may differ; lines of the conformance suite's files of expected differences."""
    lines = path.read_text().splitlines() if path.exists() else []
    return {words[0]: words[1] for words in (line.split(None, 1) for line in lines) if len(words) == 2 and not words[0].startswith("#")}


def run_conformance(context: Context, expected) -> Result:
    """The suite natively and through the shim; which cases differ. expected: the folder of expected differences."""
    program = context.layout.program("vgpu-conformance")
    if not program.exists():
        return Result(skipped="vgpu-conformance was not built")
    result, tables = Result(), {}
    jobs = str(min(8, max(2, (os.cpu_count() or 2) // 2)))  # the other half is for the workers
    for way in (NATIVE, REMOTED):
        tsv = context.out / f"conformance.{way}.tsv"
        run = context.run(way, [program, "--libcuda", "libcuda.so.1", "--group", "--jobs", jobs, "--tsv", tsv], "suite")
        if run.status not in (0, 1):
            result.fail(f"{way}: the suite broke off: {run.complaint()}")
        tables[way] = read_tsv(tsv) if tsv.exists() else {}
        counts = Counter(columns[0] if columns else "?" for columns in tables[way].values())
        result.lines.append(f"  {way:8} {len(tables[way])} cases: " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
    reasons = read_reasons(expected / "shim-real.txt") | ({} if context.real_driver else read_reasons(expected / "sim.txt"))
    names = sorted(set(tables[NATIVE]) | set(tables[REMOTED]))
    native, remoted = ({n: tables[way].get(n, ["absent"]) for n in names} for way in (NATIVE, REMOTED))
    # What the native library cannot even be asked tells nothing about the remoted one.
    different = [n for n in names if native[n][0] not in (remoted[n][0], "skip")]
    unexplained = [n for n in different if n not in reasons]
    for name in unexplained:
        result.fail(f"  {name}: native {' '.join(native[name])}; remoted {' '.join(remoted[name])}")
    result.lines += [f"  {name} differs as expected: {reasons[name]}" for name in different if name in reasons]
    if not names:
        result.fail("no case ran")
    result.summary = f"{len(names)} cases; {len(different)} differ between native and remoted, {len(unexplained)} of them without a known reason"
    return result


# Groups that share a run: native and remoted alternate from one to the next.
TRAPS = (("queue.*", "fed.*"), ("host_function_trap.*", "capture_trap.*", "thread_stream.*", "pinned_trap.*", "printing.*", "crowd.*"),
         ("fork_trap.*", "exit_trap.*", "loading.*", "two_programs.*"))


# What the real driver never returns from: asked of the shim alone.
HANGS_NATIVELY = {"host_function_trap.that_calls_the_driver_is_told_not_to"}


def chosen_traps(context: Context, program, globs, way) -> list[str]:
    if way == REMOTED or not context.real_driver:
        return list(globs)
    listed = context.run(way, [program, "--list"], "list").out.split()
    return [name for name in listed if any(fnmatch.fnmatch(name, g) for g in globs) and name not in HANGS_NATIVELY]


def run_traps(context: Context, expected) -> Result:
    """Every trap natively and through the shim. What fails natively too tells nothing about us."""
    program = context.layout.program("vgpu-traps")
    if not program.exists():
        return Result(skipped="vgpu-traps was not built")
    result, answers = Result(), {NATIVE: {}, REMOTED: {}}
    for number, globs in enumerate(TRAPS):
        for way in (NATIVE, REMOTED):
            tsv = context.out / f"traps{number}.{way}.tsv"
            words = [program, "--libcuda", "libcuda.so.1", "--group", "--jobs", "6", "--tsv", tsv] + [w for g in chosen_traps(context, program, globs, way) for w in ("--run", g)]
            run = context.run(way, words, f"suite{number}")
            if run.status not in (0, 1):
                result.fail(f"{way}: the suite broke off: {run.complaint()}")
            answers[way] |= read_tsv(tsv) if tsv.exists() else {}
    reasons = read_reasons(expected / ("shim-real.txt" if context.real_driver else "shim-sim.txt"))
    names = sorted(set(answers[NATIVE]) | set(answers[REMOTED]))
    native, remoted = ({n: answers[way].get(n, ["absent"]) for n in names} for way in (NATIVE, REMOTED))
    result.lines += table([(n, native[n][0], remoted[n][0]) for n in names], ("trap", NATIVE, REMOTED))
    worse = [n for n in names if remoted[n][0] != "pass" and native[n][0] == "pass" and n not in reasons]
    for name in names:
        if native[name][0] != "pass" or remoted[name][0] != "pass":
            result.lines.append(f"  {name}: native {' '.join(native[name])}; remoted {' '.join(remoted[name])}; {reasons.get(name, 'no known reason')}")
    result.passed = result.passed and bool(names) and not worse
    passed = {way: sum(a[0] == "pass" for a in answers[way].values()) for way in answers}
    result.summary = f"{len(names)} traps: {passed[NATIVE]} pass natively, {passed[REMOTED]} remoted; {len(worse)} fail only remoted"
    return result
