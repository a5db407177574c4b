"""record_shapes.gen.hpp: what a record of each operation is made of, for the fuzzers and their seeds; driver_functions.gen.inc."""
from table import HANDLES, KINDS, SCALARS, wire_type

# Which values are worth trying in a field, by its name (tests/fuzz/records/values.hpp).
OFFSETS = {"offset", "log_offset", "to_offset", "from_offset", "word_offset"}
PLACES = {"address", "to", "from"}
SIZES = {"size", "width", "height", "pitch", "to_pitch", "from_pitch", "first", "info_log_size", "error_log_size"}


def values_of(name):
    return "offset" if name in OFFSETS else "place" if name in PLACES else "size" if name in SIZES else "small"


def request_fields(op):
    """(type, values, cap, kind) of every field of an operation's request."""
    for field in op.request:
        if field.type in KINDS:
            yield "handle", "small", "0", field.type
        else:
            yield field.type, values_of(field.name), str(field.cap), "none"


def forward_fields(api, row):
    for p in row.params:
        if p.note in ("out", "out?"):
            continue
        if p.note == "in":
            yield "raw", "small", f"sizeof(cuda::{p.target})", "none"
        elif p.note == "new" or p.type in HANDLES:
            yield "handle", "small", "0", HANDLES[p.target if p.note == "new" else p.type]
        else:
            yield wire_type(api, p.type), values_of(p.name), "0", "none"


def forward_reply_size(api, row):
    return sum(SCALARS[wire_type(api, p.target)][1] for p in row.params if p.note in ("out", "out?"))


def shape(number, name, posted, context, fields, request, reply):
    made = [f"{{Type::{t}, Values::{v}, {cap}, wire::Kind::{kind}}}" for t, v, cap, kind in fields]
    lines = [f"inline constexpr Field kFields{number}[] = {{{', '.join(made)}}};"] if made else []
    what = f"kFields{number}" if made else "{}"
    return lines, f'    {{{number}, "{name}", {str(posted).lower()}, {str(context).lower()}, {what}, {request}, {reply}}},'


def files(api):
    tables, rows = [], []
    for op in api.ops:
        reply = f"&recode<api::ops::{op.struct}Reply>" if op.reply else "&has_size<0>"
        lines, row = shape(op.number, op.name, op.posted, op.attrs.get("ctx") != "no", request_fields(op), f"&recode<api::ops::{op.struct}>", reply)
        tables += lines
        rows.append(row)
    for call in [r for r in api.rows if r.cls == "forward"]:
        lines, row = shape(call.number, call.symbol, False, call.needs_context, forward_fields(api, call), "nullptr", f"&has_size<{forward_reply_size(api, call)}>")
        tables += lines
        rows.append(row)
    text = ["#pragma once", '#include "common/api/ops.gen.hpp"', '#include "tests/fuzz/records/shape.hpp"', "", "namespace vgpu::fuzz {", "", *tables, "",
            "inline constexpr Shape kShapes[] = {", *rows, "};", "", "}  // namespace vgpu::fuzz", ""]
    yield "tests/fuzz/records/shapes.gen.hpp", "\n".join(text)

    symbols = [r.symbol for r in api.rows if api.prototype(r) is not None]
    yield "tests/fuzz/records/driver_functions.gen.inc", "".join(f"FUNCTION({symbol})\n" for symbol in symbols)
