# SPDX-License-Identifier: Apache-2.0
"""Sections of gpu-test: the same programs in a virtual machine, whose QEMU translates instructions."""
import contextlib
import glob
import pathlib
import shutil

from harness.private_broker import BrokerFailed
from harness.processes import wait_until
from vm.broker import VmBroker
from vm.delegate import GuestFailed
from vm.packages import PackageFailed
from vm.packed import find
from vm.shared_root import SharedRoot
from vm.vgpu_guest import VgpuGuest

from .context import NATIVE, Context, Result
from .frameworks import compare_hashes, has_torch, parse
from .sections import programs

# In the guest's image beside the demo programs.
PROGRAMS = ("round_trips",)
ROUNDS = 2000
GEMM = "cublas_gemm"
GEMM_SIZE = 2048
CUBLAS = ("/usr/local/cuda*/lib64/libcublas.so.1[0-9]", "/usr/lib/x86_64-linux-gnu/libcublas.so.1[0-9]",
          "/opt/*/.venv/lib/python3*/site-packages/nvidia/*/lib/libcublas.so.1[0-9]")
# PyTorch in a guest whose instructions are translated: less of everything than in section torch.
TORCH_WORDS = ("--repetitions", 2, "--size", 1024, "--steps", 20)
GUEST_MB = 8192


@contextlib.contextmanager
def guest_of_this_machine(context: Context, root: pathlib.Path):
    """(broker, guest, the guest's way to this machine's programs). FileNotFoundError, PackageFailed: there can be none."""
    qemu, image = find(root, context.layout, PROGRAMS)
    logs = context.out / context.section
    logs.mkdir(exist_ok=True)
    with VmBroker(context.layout, ("guest",), context.broker.driver, keep_in=logs) as broker:
        with VgpuGuest(image, qemu, broker.device("guest", window_mb=1024), name="guest", share=pathlib.Path("/"),
                       memory_mb=GUEST_MB if context.real_driver else 1024, processors=4 if context.real_driver else 2, keep_in=logs) as guest:
            yield broker, guest, SharedRoot(guest)
        broker.await_accounts(clients=0, workers=0)


def in_guest(context: Context, root: pathlib.Path, body) -> Result:
    """body(broker, guest, shared root, result), with what goes wrong turned into a result."""
    result = Result()
    try:
        with guest_of_this_machine(context, root) as (broker, guest, shared):
            result.lines.append(f"guest up after {guest.boot_seconds:.1f} s, QEMU: {guest.qemu.name}")
            body(broker, guest, shared, result)
    except (FileNotFoundError, PackageFailed) as missing:
        return Result(skipped=str(missing))
    except (GuestFailed, BrokerFailed) as failure:
        result.fail(str(failure))
    return result


# ---- section vm -------------------------------------------------------------------------------------------------

def run_vm(context: Context, root: pathlib.Path) -> Result:
    """What programs print in a guest is what they print without one; two at once are right; nothing stays."""
    found = [path for pattern in CUBLAS for path in glob.glob(pattern)]

    def body(broker, guest, shared, result):
        for name in programs(context):
            compare_demo(context, guest, name, result)
        compute_twice_at_once(context, guest, broker, result)
        add_by_legacy_request(guest, result)
        if found and context.real_driver:
            compare_gemm(context, guest, shared, found[0], result)
        else:
            result.lines.append("  no product by cuBLAS: this machine has no cuBLAS, or no GPU")

    result = in_guest(context, root, body)
    result.summary = f"{', '.join(programs(context))} as without a guest; two programs of {ROUNDS} rounds and a legacy request right" if result.passed else "see above"
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


def add_by_legacy_request(guest: VgpuGuest, result: Result) -> None:
    """The field's own request, which the VM's legacy worker computes."""
    added = guest.run(["vgpu-guest", "add", "100", "200"], 60, user=0)
    result.lines += [f"  | {line}" for line in added.stdout.splitlines()]
    if added.status != 0 or "100 + 200 = 300" not in added.stdout:
        result.fail(f"vgpu-guest add: status {added.status}: {added.stdout}{added.stderr}")


def compare_gemm(context: Context, guest: VgpuGuest, shared: SharedRoot, library: str, result: Result) -> None:
    """The library is this machine's, read through the share; so are the program's other libraries."""
    outside = context.run(NATIVE, [context.layout.program(GEMM), library, GEMM_SIZE], GEMM)
    guest.put(f"/tmp/{GEMM}", context.layout.program(GEMM).read_bytes(), 0o755)
    inside = shared.run([f"/tmp/{GEMM}", library, GEMM_SIZE], context.time_left())
    result.lines += [f"  native {line}" for line in outside.out.splitlines()] + [f"  guest  {line}" for line in inside.stdout.splitlines()]
    result.lines.append(f"  {pathlib.Path(library).name}: native {outside.seconds:.1f} s, in the guest {inside.seconds:.1f} s")
    if not outside.ok:
        result.fail(f"{GEMM}, native: {outside.complaint()}")
    elif inside.status != 0 or inside.stdout != outside.out:
        result.fail(f"{GEMM} in the guest: status {inside.status}, or another result: {inside.stderr.strip()[-1000:]}")


# ---- section vm-torch -------------------------------------------------------------------------------------------

def run_vm_torch(context: Context, root: pathlib.Path, script: pathlib.Path) -> Result:
    """PyTorch of this machine in a guest. Most of its time is the interpreter's, at a tenth of its speed or less."""
    if not has_torch(context.environment(NATIVE)):
        return Result(skipped="python3 has no torch")
    words = [shutil.which("python3"), "-X", "importtime", "/tmp/torch_check.py", *TORCH_WORDS]

    def body(broker, guest, shared, result):
        outside = context.run(NATIVE, ["python3", script, *TORCH_WORDS], "torch")
        if not outside.ok:
            return result.fail(f"native: {outside.complaint()}")
        guest.put("/tmp/torch_check.py", script.read_bytes())
        process = shared.start(words)
        process.close_input()
        try:
            process.wait(context.time_left())
        except GuestFailed as failure:
            result.fail(str(failure).splitlines()[0])
        tell_of_torch(process, context, result)
        compare_hashes(parse(outside.out), parse(process.stdout), "native", result)

    result = in_guest(context, root, body)
    result.summary = "PyTorch in the guest: every result bit-equal to native" if result.passed else "see above"
    return result


def tell_of_torch(process, context: Context, result: Result) -> None:
    """How far it got and where the time went."""
    (context.out / f"{context.section}.guest.out").write_text(process.stdout)
    (context.out / f"{context.section}.guest.err").write_text(process.stderr)
    result.lines += [f"  guest  {line}" for line in process.stdout.splitlines() if not line.startswith("hash ")]
    imports = [line.split("|") for line in process.stderr.splitlines() if line.startswith("import time:") and line.count("|") == 2]
    slowest = sorted(((int(f[1]), f[2].strip()) for f in imports if f[1].strip().isdigit()), reverse=True)[:6]
    result.lines += [f"  guest  import of {name}: {micros / 1e6:.0f} s" for micros, name in slowest]
