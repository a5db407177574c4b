"""The shim's generated half: entries of every exported symbol, forwarded calls, the version script."""
from table import HANDLES, NULL_IS_INVALID_VALUE, wire_type


# Answered in a forked child of a process that uses CUDA, too: they touch nothing that is shared.
ALWAYS = {"cuDriverGetVersion", "cuGetErrorName", "cuGetErrorString", "cuGetExportTable", "cuGetProcAddress", "cuGetProcAddress_v2"}


def arguments(row):
    return ", ".join(p.name for p in row.params)


def refusal(row):
    return f"refusal_{row.symbol}"


def entry(api, row, suffix):
    """One exported function. A per-thread variant differs in what stream 0 means to the call inside."""
    name = row.symbol + suffix
    if row.cls == "none":
        return f"VGPU_ENTRY int {name}() {{ return vgpu::shim::refuse({refusal(row)}); }}"
    # Any lock of ours may have been held when the process forked: the child gets no further than this.
    guard = "" if row.symbol in ALWAYS else (
        "  if (vgpu::shim::is_fork_child()) return vgpu::cuda::CUDA_ERROR_NOT_INITIALIZED;\n"
        "  if (!vgpu::shim::has_memory()) return vgpu::cuda::CUDA_ERROR_OUT_OF_MEMORY;\n")
    scope = "  const vgpu::shim::PerThreadDefaultStream scope;\n" if suffix else ""
    call = f'vgpu::shim::told("{name}", vgpu::shim::calls::{row.symbol}({arguments(row)}))'
    return f"VGPU_ENTRY vgpu::cuda::CUresult {name}({with_namespace(api, row)}) {{\n{guard}{scope}  return {call};\n}}"


def with_namespace(api, row):
    parts = []
    for p in row.params:
        parts.append(f"{qualify(api, p.type)} {p.name}")
    return ", ".join(parts)


def qualify(api, abi_type):
    const, word = ("const ", abi_type[6:]) if abi_type.startswith("const ") else ("", abi_type)
    bare = word.rstrip("*").strip()
    return const + ("vgpu::cuda::" if bare in api.types else "") + word


def wire(api, abi_type):
    return {"u32": "uint32_t", "i32": "int32_t", "u64": "uint64_t", "f32": "float"}[wire_type(api, abi_type)]


def forward(api, row):
    lines = [f"CUresult {row.symbol}({api.prototype(row)}) {{"]
    for p in row.params:
        if p.note in ("out", "new", "in"):
            lines.append(f"  if ({p.name} == nullptr) return CUDA_ERROR_INVALID_VALUE;")
    context = "true" if row.needs_context else "false"
    lines.append(f"  Request request(api::Op::{row.symbol}, {context});")
    graph_objects = [p for p in row.params if p.type in NULL_IS_INVALID_VALUE]
    if graph_objects:
        lines.append("  if (request.refusal() != CUDA_SUCCESS) return request.refusal();")
    lines += [f"  if ({p.name} == nullptr) return CUDA_ERROR_INVALID_VALUE;" for p in graph_objects]
    if row.attrs.get("capture", "safe") != "safe":
        rule = {"unsafe": "by_mode", "conflicting": "context_wide"}[row.attrs["capture"]]
        lines.append("  if (request.refusal() != CUDA_SUCCESS) return request.refusal();")
        lines.append(f"  if (const CUresult refused = refuse_if_capturing(capture::Unsafe::{rule}); refused != CUDA_SUCCESS) return refused;")
    created = [p for p in row.params if p.note == "new"]
    for p in row.params:
        if p.note in ("out", "out?"):
            continue
        if p.note == "new":
            lines.append(f"  const uint64_t {p.name}_id = request.make_handle(wire::Kind::{HANDLES[p.target]});")
        elif p.note == "in":
            lines.append(f"  request.body().raw({p.name}, sizeof *{p.name});")
        elif p.type in HANDLES:
            lines.append(f"  request.put({p.name});")
        else:
            lines.append(f"  request.body().put(static_cast<{wire(api, p.type)}>({p.name}));")
    lines.append("  const CUresult result = request.call();")
    for p in created:
        lines.append(f"  if (result != CUDA_SUCCESS) request.discard_handle({p.name}_id);")
    lines.append("  if (result != CUDA_SUCCESS) return result;")
    for p in row.params:
        if p.note in ("out", "out?"):
            lines.append(f"  const auto {p.name}_value = request.reply().take<{wire(api, p.target)}>();")
            lines.append(("  if (%s != nullptr) " % p.name if p.note == "out?" else "  ") + f"*{p.name} = static_cast<{p.target}>({p.name}_value);")
        elif p.note == "new":
            lines.append(f"  *{p.name} = reinterpret_cast<{p.target}>({p.name}_id);")
        elif p.note == "drop":
            lines.append(f"  request.discard_handle(reinterpret_cast<uint64_t>({p.name}));")
    if row.attrs.get("noted"):
        lines.append(f"  noted::{row.symbol}({arguments(row)});")
    lines += ["  return CUDA_SUCCESS;", "}", ""]
    return "\n".join(lines)


def files(api):
    supported = [r for r in api.rows if r.cls != "none"]
    text = ["#pragma once", '#include "common/api/prototypes.gen.hpp"', "", "// What the exported entries call: `guest` and `custom` rows are written by hand, `forward` rows generated.",
            "namespace vgpu::shim::calls {", "using namespace vgpu::cuda;"]
    text += [f"CUresult {r.symbol}({api.prototype(r)});" for r in supported]
    text += ["}  // namespace vgpu::shim::calls", ""]
    yield "shim/cuda/calls.gen.hpp", "\n".join(text)

    text = ['#include "shim/client/channel.hpp"', '#include "shim/client/memory_reserve.hpp"', '#include "shim/cuda/calls.gen.hpp"', '#include "shim/cuda/entry.hpp"', ""]
    text += ["namespace {"]
    text += [f'constinit vgpu::shim::Refusal {refusal(r)}{{"{r.symbol}", "{api.reasons[r.attrs["why"]]}"}};' for r in api.rows if r.cls == "none"]
    text += ["}  // namespace", ""]
    for row in api.rows:
        for suffix in [""] + ["_" + v for v in row.variants]:
            text.append(entry(api, row, suffix))
    yield "shim/cuda/entries.gen.cpp", "\n".join(text) + "\n"

    # Addresses only: the types do not matter to who looks a symbol up by name.
    symbols = [r.symbol + s for r in api.rows for s in [""] + ["_" + v for v in r.variants]]
    declared = ["#pragma once", '#include "shim/cuda/calls.gen.hpp"', 'extern "C" {']
    for row in api.rows:
        for suffix in [""] + ["_" + v for v in row.variants]:
            if row.cls == "none":
                declared.append(f"int {row.symbol}{suffix}();")
            else:
                declared.append(f"vgpu::cuda::CUresult {row.symbol}{suffix}({with_namespace(api, row)});")
    yield "shim/cuda/symbols.gen.hpp", "\n".join(declared + ["}", ""])

    text = ['#include "shim/client/capture_state.hpp"', '#include "shim/client/request.hpp"', '#include "shim/cuda/calls.gen.hpp"', '#include "shim/cuda/noted.hpp"', "", "namespace vgpu::shim::calls {", ""]
    text += [forward(api, r) for r in api.rows if r.cls == "forward"]
    text += ["}  // namespace vgpu::shim::calls", ""]
    yield "shim/cuda/forward.gen.cpp", "\n".join(text)

    yield "shim/cuda/shim.map", "{\n  global:\n" + "".join(f"    {s};\n" for s in symbols) + "  local: *;\n};\n"
