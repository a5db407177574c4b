"""ops.gen.hpp: operation numbers, and one structure with encoder and decoder per operation and per reply."""
from table import KINDS, SCALARS


def cpp_type(field):
    if field.type in SCALARS:
        return SCALARS[field.type][0]
    if field.type in KINDS:
        return f"wire::Id<wire::Kind::{field.type}>"
    return "std::string_view" if field.type == "text" else "wire::Bytes"


def member(field):
    return f"  {cpp_type(field)} {field.name}{{}};" + (f"  // at most {field.cap} bytes" if field.cap else "")


def put(field):
    if field.type in SCALARS:
        return f"    out.put({field.name});"
    if field.type in KINDS:
        return f"    out.put({field.name}.value);"
    return f"    out.{field.type}({field.name});"


def take(field):
    if field.type in SCALARS:
        return f"    {field.name} = in.take<{SCALARS[field.type][0]}>();"
    if field.type in KINDS:
        return f"    {field.name}.value = in.take<uint64_t>();"
    return f"    {field.name} = in.{field.type}({field.cap});"


def structure(name, fields, head):
    lines = [f"struct {name} {{", *head, *map(member, fields)]
    out, inn = ("out", "in") if fields else ("", "in")
    lines += [f"  void encode(wire::Writer& {out}) const {{", *map(put, fields), "  }"]
    lines += [f"  /// False if the bytes are not exactly one such structure.", f"  bool decode(wire::Reader& {inn}) {{", *map(take, fields), "    return in.complete();", "  }", "};", ""]
    return "\n".join(lines)


def files(api):
    forwards = [r for r in api.rows if r.cls == "forward"]
    numbers = [f"  {op.name} = {op.number}," for op in api.ops] + [f"  {r.symbol} = {r.number}," for r in forwards]
    names = [f'    case Op::{op.name}: return "{op.name}";' for op in api.ops] + [f'    case Op::{r.symbol}: return "{r.symbol}";' for r in forwards]
    text = ["#pragma once", "#include <cstdint>", "#include <string_view>", '#include "common/wire/handle.hpp"', '#include "common/wire/reader.hpp"',
            '#include "common/wire/writer.hpp"', "", "namespace vgpu::api {", "", "/// Operation numbers: append-only.", "enum class Op : uint16_t {", "  pad = 0,", *numbers, "};", "",
            "inline constexpr unsigned kOpLimit = 1024;", "", "/// Name for logs; \"?\" for a number that is no operation.", "inline const char* op_name(Op op) {", "  switch (op) {", *names, "    default: return \"?\";", "  }", "}", "",
            "namespace ops {", ""]
    for op in api.ops:
        head = [f"  static constexpr Op kOp = Op::{op.name};", f"  static constexpr bool kPosted = {str(op.posted).lower()};",
                f"  static constexpr bool kNeedsContext = {str(op.attrs.get('ctx') != 'no').lower()};"]
        text.append(structure(op.struct, op.request, head))
        if op.reply:
            text.append(structure(op.struct + "Reply", op.reply, []))
    text += ["}  // namespace ops", "}  // namespace vgpu::api", ""]
    yield "common/api/ops.gen.hpp", "\n".join(text)
