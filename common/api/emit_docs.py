"""docs/calls.md: what every exported function does."""

MEANING = {"guest": "answered in the guest", "forward": "forwarded", "custom": "remoted, written by hand", "none": "**not supported**"}


def reasons(api):
    lines = ["## Not supported", "", "| reason | in words | functions |", "|---|---|---|"]
    for name, words in api.reasons.items():
        lines.append(f"| {name} | {words} | {', '.join(r.symbol for r in api.rows if r.attrs.get('why') == name)} |")
    return lines + [""]


def text(api):
    counts = {cls: sum(r.cls == cls for r in api.rows) for cls in MEANING}
    exported = sum(1 + len(r.variants) for r in api.rows)
    lines = ["# Calls", "", "Generated from `common/api/calls.table` by `common/api/generate.py --docs`; do not edit.", "",
             f"`libcuda.so.1` exports {exported} functions, {len(api.rows)} without their per-thread variants: " + ", ".join(f"{n} {MEANING[c].strip('*')}" for c, n in counts.items()) + ".",
             "A function that is not supported returns CUDA_ERROR_NOT_SUPPORTED (801) and is named once on standard error, with the reason.", "",
             *reasons(api), "## All of them", "", "| function | what happens | blocks | variants |", "|---|---|---|---|"]
    for r in api.rows:
        why = f" ({r.attrs['why']})" if r.cls == "none" else ""
        lines.append(f"| {r.symbol} | {MEANING[r.cls]}{why} | {r.attrs.get('blocks', '')} | {', '.join(r.variants)} |")
    return "\n".join(lines) + "\n"
