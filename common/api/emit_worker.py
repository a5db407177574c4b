"""The worker's generated half: one row per operation, and the forwarded calls."""
from table import HANDLES, wire_type

WIRE = {"u32": "uint32_t", "i32": "int32_t", "u64": "uint64_t", "f32": "float"}


def forward(api, row):
    lines = [f"CUresult forward_{row.symbol}(Session& session, wire::Reader& in, wire::Writer& out) {{", f"  const auto call = session.driver().{row.symbol};",
             "  if (call == nullptr) return CUDA_ERROR_NOT_SUPPORTED;"]
    checks, after = [], []
    for p in row.params:
        if p.note in ("out", "out?"):
            lines.append(f"  {p.target} {p.name}{{}};")
            after.append(f"  out.put(static_cast<{WIRE[wire_type(api, p.target)]}>({p.name}));")
        elif p.note == "new":
            lines.append(f"  {p.target} {p.name}{{}};")
            lines.append(f"  const auto {p.name}_id = in.take<uint64_t>();")
            checks.append(f"  if (session.objects().is_beyond_limit({p.name}_id, wire::Kind::{HANDLES[p.target]})) return CUDA_ERROR_OUT_OF_MEMORY;")
            checks.append(f"  if (!session.objects().can_bind({p.name}_id, wire::Kind::{HANDLES[p.target]})) return session.violation(\"a handle that cannot be made\");")
            after.append(f"  if (result == CUDA_SUCCESS) session.objects().bind({p.name}_id, {p.name});")
        elif p.note == "in":
            lines.append(f"  {p.target} {p.name}{{}};")
            lines.append(f"  in.raw(&{p.name}, sizeof {p.name});")
            checks.append(f"  if (const CUresult refused = handlers::check_in({p.name}); refused != CUDA_SUCCESS) return refused;")
        elif p.type in HANDLES:
            lines.append(f"  {p.type} {p.name}{{}};")
            lines.append(f"  const auto {p.name}_id = in.take<uint64_t>();")
            checks.append(f"  if (!session.objects().find({p.name}_id, {p.name})) return CUDA_ERROR_INVALID_HANDLE;")
            if p.note == "drop":
                after.append(f"  if (result == CUDA_SUCCESS) session.objects().drop({p.name}_id);")
        else:
            lines.append(f"  const auto {p.name} = in.take<{WIRE[wire_type(api, p.type)]}>();")
    lines.append("  if (!in.complete()) return session.violation(\"a record of the wrong length\");")
    lines += checks
    args = []
    for p in row.params:
        if p.note in ("out", "out?", "new", "in"):
            args.append(f"&{p.name}")
        elif p.type in HANDLES:
            args.append(p.name)
        else:
            args.append(f"static_cast<{p.type}>({p.name})")
    lines.append(f"  const CUresult result = call({', '.join(args)});")
    lines += after
    if not any("out.put" in line for line in after):
        lines.insert(1, "  static_cast<void>(out);")
    lines += ["  return result;", "}", ""]
    return "\n".join(lines)


def flags(attrs, posted, context):
    blocks = f"Blocks::{attrs.get('blocks', 'no')}"
    return f"{blocks}, {str(posted).lower()}, {str(context).lower()}, {str('waits' in attrs).lower()}"


def files(api):
    forwards = [r for r in api.rows if r.cls == "forward"]
    text = ['#include "worker/dispatch/rows.hpp"', '#include "worker/handlers/check_in.hpp"', '#include "worker/handlers/handlers.gen.hpp"', '#include "worker/session.hpp"', "", "namespace vgpu::worker {", "using namespace vgpu::cuda;", "namespace {", ""]
    text += [forward(api, r) for r in forwards]
    text += ["template <typename Op, void (*handler)(Session&, const Op&, Call&)>", "void run(Session& session, wire::Reader& in, Call& call) {", "  Op op;",
             "  if (!op.decode(in)) return call.finish(session.violation(\"a record that does not decode\"));", "  handler(session, op, call);", "}", "",
             "template <CUresult (*forwarded)(Session&, wire::Reader&, wire::Writer&)>", "void run(Session& session, wire::Reader& in, Call& call) { call.finish(forwarded(session, in, call.reply())); }", "",
             "}  // namespace", "", "const Row* find_row(uint16_t number) {", "  static const Row none{};", "  static const auto rows = [] {", "    std::array<Row, api::kOpLimit> table{};"]
    for op in api.ops:
        text.append(f"    table[{op.number}] = {{\"{op.name}\", &run<api::ops::{op.struct}, &handlers::{op.name}>, {flags(op.attrs, op.posted, op.attrs.get('ctx') != 'no')}}};")
    for row in forwards:
        text.append(f"    table[{row.number}] = {{\"{row.symbol}\", &run<&forward_{row.symbol}>, {flags(row.attrs, False, row.needs_context)}}};")
    text += ["    return table;", "  }();", "  return number < rows.size() && rows[number].run != nullptr ? &rows[number] : nullptr;", "}", "", "}  // namespace vgpu::worker", ""]
    text = [line for line in text if "static const Row none" not in line]
    yield "worker/dispatch/rows.gen.cpp", "\n".join(text)

    text = ["#pragma once", '#include "common/api/ops.gen.hpp"', "", "namespace vgpu::worker {", "class Session;", "class Call;", "namespace handlers {", "// Written by hand in worker/handlers/: what an operation does. Each finishes its call at once, or hands it to somebody who will."]
    text += [f"void {op.name}(Session& session, const api::ops::{op.struct}& op, Call& call);" for op in api.ops]
    text += ["}  // namespace handlers", "}  // namespace vgpu::worker", ""]
    yield "worker/handlers/handlers.gen.hpp", "\n".join(text)
