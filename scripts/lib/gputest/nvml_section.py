# SPDX-License-Identifier: Apache-2.0
"""What NVML says natively and remoted, name by name; and programs that ask it as frameworks do at their start."""
from .context import NATIVE, REMOTED, Context, Result, table

# These may differ from one moment to the next, or are the guest's own (docs/design/009-nvml.md).
LIVE = "live."
OF_THE_GUEST = ("minor_number.",)
KINDS = ("pytorch", "nccl", "ollama", "fork", "fork-after-cuda", "uninitialised")


def parse(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def differences(native: dict[str, str], remoted: dict[str, str]) -> list[tuple[str, str, str]]:
    names = [name for name in native | remoted if not name.startswith((LIVE, *OF_THE_GUEST))]
    return [(name, native.get(name, "-"), remoted.get(name, "-")) for name in names if native.get(name) != remoted.get(name)]


def run_nvml(context: Context) -> Result:
    result = Result()
    for kind in KINDS:
        run = context.run(REMOTED, [context.layout.program("nvml_demo"), kind], kind)
        if not run.ok:
            result.fail(f"nvml_demo {kind}: {run.complaint()}")
    ways = (NATIVE, REMOTED) if context.real_driver else (REMOTED,)
    facts = {}
    for way in ways:
        run = context.run(way, [context.layout.program("nvml_facts")], "facts")
        if not run.ok:
            result.fail(f"nvml_facts, {way}: {run.complaint()}")
        facts[way] = parse(run.out)
    if NATIVE in facts:
        different = differences(facts[NATIVE], facts[REMOTED])
        result.lines += table(different, ("name", "native", "remoted")) if different else []
        result.passed = result.passed and not different
        live = [(name, facts[NATIVE][name], facts[REMOTED].get(name, "-")) for name in facts[NATIVE] if name.startswith(LIVE)]
        result.lines += table(live, ("may differ", "native", "remoted"))
        result.summary = f"{len(facts[NATIVE])} values, {len(different)} different"
    else:
        result.summary = f"{len(facts[REMOTED])} values; the software GPU has no NVML of its own to compare with"
    return result
