"""docs/calls.md: what every exported function does."""

MEANING = {"guest": "answered in the guest", "forward": "forwarded", "custom": "remoted, written by hand", "none": "**not supported**"}


def text(api):
    counts = {cls: sum(r.cls == cls for r in api.rows) for cls in MEANING}
    exported = sum(1 + len(r.variants) for r in api.rows)
    lines = ["# Calls", "", "Generated from `common/api/calls.table` by `common/api/generate.py --docs`; do not edit.", "",
             f"`libcuda.so.1` exports {exported} functions, {len(api.rows)} without their per-thread variants: " + ", ".join(f"{n} {MEANING[c].strip('*')}" for c, n in counts.items()) + ".",
             "A function that is not supported returns CUDA_ERROR_NOT_SUPPORTED (801) and is named once on standard error.", "",
             "| function | what happens | blocks | variants |", "|---|---|---|---|"]
    for r in api.rows:
        lines.append(f"| {r.symbol} | {MEANING[r.cls]} | {r.attrs.get('blocks', '')} | {', '.join(r.variants)} |")
    return "\n".join(lines) + "\n"
