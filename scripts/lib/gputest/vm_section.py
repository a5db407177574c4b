# SPDX-License-Identifier: Apache-2.0
"""Section of gpu-test: the same programs in a virtual machine, whose QEMU translates instructions."""
import pathlib

from harness.private_broker import BrokerFailed
from harness.processes import wait_until
from vm.broker import VmBroker
from vm.delegate import GuestFailed
from vm.packages import PackageFailed
from vm.packed import find
from vm.vgpu_guest import VgpuGuest

from .context import Context, Result
from .sections import programs

# In the guest's image beside the demo programs.
PROGRAMS = ("round_trips",)
ROUNDS = 2000


def run_vm(context: Context, root: pathlib.Path) -> Result:
    """What programs print in a guest is what they print without one; two at once are right; nothing stays."""
    try:
        qemu, image = find(root, context.layout, PROGRAMS)
    except (FileNotFoundError, PackageFailed) as missing:
        return Result(skipped=str(missing))
    result = Result()
    logs = context.out / "vm"
    logs.mkdir(exist_ok=True)
    try:
        with VmBroker(context.layout, ("guest",), context.broker.driver, keep_in=logs) as broker:
            with VgpuGuest(image, qemu, broker.device("guest", window_mb=1024), name="guest", memory_mb=1024, keep_in=logs) as guest:
                result.lines.append(f"guest up after {guest.boot_seconds:.1f} s, QEMU: {qemu.name}")
                for name in programs(context):
                    compare_demo(context, guest, name, result)
                compute_twice_at_once(context, guest, broker, result)
            broker.await_accounts(clients=0, workers=0)
    except (GuestFailed, BrokerFailed) as failure:
        result.fail(str(failure))
    result.summary = f"{', '.join(programs(context))} as without a guest; two programs of {ROUNDS} rounds right" if result.passed else "see above"
    return result


def compare_demo(context: Context, guest: VgpuGuest, name: str, result: Result) -> None:
    way = context.ways(name)[0]
    outside = context.run(way, [context.layout.program(name)], name)
    inside = guest.run([name], context.time_left())
    (context.out / f"{context.section}-{name}.guest.out").write_text(inside.stdout)
    if not outside.ok:
        result.fail(f"{name}, {way}: {outside.complaint()}")
    elif inside.status != 0 or inside.stderr:
        result.fail(f"{name} in the guest: status {inside.status}: {inside.stderr.strip() or inside.stdout[-300:]}")
    elif inside.stdout != outside.out:
        result.fail(f"{name}: the output differs; compare {context.section}-{name}.{way}.out and .guest.out")
    result.lines += [f"  | {line}" for line in inside.stdout.splitlines()]


def compute_twice_at_once(context: Context, guest: VgpuGuest, broker: VmBroker, result: Result) -> None:
    both = [guest.start(["round_trips", str(ROUNDS)]) for _ in range(2)]
    if not wait_until(lambda: len(broker.workers()) == 2, min(30, context.time_left())):
        result.fail("two programs of the guest have not two workers")
    for program in both:
        ended = program.wait(context.time_left())
        last = ended.stdout.splitlines()[-1] if ended.stdout else ended.stderr
        result.lines.append(f"  | {last}, {ended.seconds:.1f} s")
        if ended.status != 0 or f"{ROUNDS} rounds, 0 wrong" not in last:
            result.fail(f"round_trips in the guest: status {ended.status}: {last}")
