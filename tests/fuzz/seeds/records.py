# SPDX-License-Identifier: Apache-2.0
"""Seeds for the worker's records and the codecs: one valid record per row of the tables, behind what it needs.

The format is that of tests/fuzz/records/record_maker.cpp.
"""
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "common" / "api"))

import emit_fuzz  # noqa: E402
import nvml_table  # noqa: E402
import table  # noqa: E402

POKE, POSTED, NO_CONTEXT = 0xFF, 1, 4
LEGACY = 0xE1
HEAP = 0x400000
EXTENT = 0x200000
DEVICE = 0x740000000000
PTX = b".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k(.param .u64 a) { ret; }\n"

# What a field holds where its kind of value does not say it; by operation and field, or by field.
VALUES = {
    "size": 64, "width": 16, "height": 2, "pitch": 512, "to_pitch": 512, "from_pitch": 512, "element": 4, "first": 0,
    "offset": HEAP, "to_offset": HEAP, "from_offset": HEAP + 4096, "log_offset": HEAP + 8192, "word_offset": HEAP + 4096,
    "info_log_size": 64, "error_log_size": 64, "address": DEVICE, "to": DEVICE, "from": DEVICE + 4096, "callback": 7,
    "grid_x": 1, "grid_y": 1, "grid_z": 1, "block_x": 32, "block_y": 1, "block_z": 1, "name": b"k", "data": b"d" * 32,
    "value": 5, "parameters": bytes(8), "options": struct.pack("<IIQ", 7, 0, 3), "library_options": b"", "attributes": b"",
    ("extent_open", "size"): EXTENT, ("extent_close", "size"): EXTENT, ("memory_alloc", "size"): 1 << 20,
    ("module_load", "size"): len(PTX), ("library_load", "size"): len(PTX), ("stream_set_attribute", "value"): bytes(64),
    ("copy_in_window", "size"): 64, ("event_record", "flags"): 1,
    ("launch", "attributes"): struct.pack("<II", 2, 0) + bytes(64), ("occupancy_clusters", "attributes"): struct.pack("<II", 4, 0) + bytes(64),
    ("copy_2d", "to_is_window"): 0, ("copy_2d", "from_is_window"): 1, ("copy_2d", "from"): HEAP,
}
MAKERS = {"primary_retain", "context_create", "module_load", "library_load", "stream_create", "event_create", "cuMemPoolCreate"}


class Row:
    """One operation: its place in the table, and its fields with their names."""

    def __init__(self, index, number, name, may_be_posted, needs_context, fields, replies):
        self.index, self.number, self.name, self.may_be_posted = index, number, name, may_be_posted
        self.needs_context, self.fields, self.replies = needs_context, fields, replies


def rows():
    api = table.load(ROOT / "common" / "api")
    out = []
    for op in api.ops:
        fields = [(*shape, field.name) for shape, field in zip(emit_fuzz.request_fields(op), op.request)]
        out.append(Row(len(out), op.number, op.name, op.posted, op.attrs.get("ctx") != "no", fields, op.reply))
    for call in [r for r in api.rows if r.cls == "forward"]:
        names = [p.name for p in call.params if p.note not in ("out", "out?")]
        fields = [(*shape, name) for shape, name in zip(emit_fuzz.forward_fields(api, call), names)]
        out.append(Row(len(out), call.number, call.symbol, False, call.needs_context, fields, []))
    return out


def literal(value):
    return b"\xff" + struct.pack("<Q", value & (1 << 64) - 1)


def field_value(row, name):
    return VALUES.get((row.name, name), VALUES.get(name, 0))


def handle_choice(row, kind, name, fresh):
    """A new object has number `fresh` of its kind; what exists is number 0."""
    if name == "result" or row.name in MAKERS and name in ("id", "pool"):
        return fresh
    return LEGACY if kind == "stream" and fresh == 2 else 0


def record(row, flags=0, fresh=1):
    """One record. fresh=0: makes the objects that the others use; 2: works on the legacy stream."""
    out = bytes([row.index, flags])
    for kind, _, cap, handle, name in row.fields:
        value = field_value(row, name)
        if kind == "handle":
            out += bytes([handle_choice(row, handle, name, fresh)])
        elif kind in ("bytes", "text"):
            data = value if isinstance(value, bytes) else b""
            out += bytes([len(data)]) + data
        elif kind == "raw":
            out += bytes(88)
        else:
            out += literal(value if isinstance(value, int) else 0)
    return out


def behaviour(busy=0, first_failure=0, failures=0, error=0, counts=1, missing=0):
    return bytes([busy, first_failure, failures, error, counts, missing])


def poke(data, place=0):
    return bytes([POKE, place]) + struct.pack("<H", len(data)) + data


def preamble(by_name):
    """Makes one object of each kind."""
    made = poke(PTX) + record(by_name["context_create"], NO_CONTEXT, 0)
    for name in ("stream_create", "event_create", "extent_open", "memory_alloc", "module_load", "module_get_function", "library_load",
                 "library_get_kernel", "graph_create", "graph_instantiate", "device_pool", "event_record"):
        made += record(by_name[name], 0, 0)
    return made


def sequences(by_name):
    """A few whole stories."""
    def play(*names, busy=0, flags=0, fresh=0, **more):
        return behaviour(busy=busy, **more) + preamble(by_name) + b"".join(record(by_name[n], flags, fresh) for n in names)

    yield "capture", play("stream_begin_capture", "launch", "copy_to_device", "event_record", "host_function", "stream_capture_info",
                          "stream_capture_dependencies", "stream_end_capture", "graph_node_count", "graph_nodes", "graph_launch", fresh=1, counts=3)
    yield "parked", play("copy_on_device", "memory_free", "launch", "module_unload", "context_synchronize", "context_destroy", busy=5)
    yield "waits", play("launch", "stream_synchronize", "launch", "event_synchronize", "launch", "copy_to_host_wait", "staging_mark", busy=9)
    yield "legacy", play("launch", "stream_synchronize", "stream_credit", "launch", "stream_credit", "stream_query", busy=7, fresh=2)
    yield "credits", play("stream_credit", "launch", "stream_credit", "stream_destroy", "stream_credit", busy=3)
    yield "deferred", play("event_destroy", "event_destroy", "stream_query", "event_query", flags=0)
    yield "destroyed", play("launch", "memory_free", "primary_reset", "context_destroy", "stream_query", busy=30)
    yield "failures", play("launch", "copy_to_device", "stream_synchronize", first_failure=20, failures=3, error=1)
    yield "fault", play("launch", "stream_synchronize", "launch", first_failure=20, failures=200, error=4)
    yield "old-driver", play("launch", "copy_2d", "memory_free", "module_function_at", "graph_nodes", busy=3, missing=0x1F)
    yield "primary", behaviour() + record(by_name["primary_retain"], NO_CONTEXT, 0) + record(by_name["memory_alloc"]) + record(
        by_name["primary_reset"], NO_CONTEXT) + record(by_name["primary_release"], NO_CONTEXT)


# Bytes of NVML's structures that say their version.
NVML_SIZES = {"nvmlPciInfoExt_v1_t": 64, "nvmlMemory_v2_t": 40, "nvmlTemperature_v1_t": 12, "nvmlMarginTemperature_v1_t": 8, "nvmlPdi_v1_t": 16,
              "nvmlDeviceAddressingMode_v1_t": 8, "nvmlSystemConfComputeSettings_v1_t": 20}
FIELD_VALUE = bytes(40)


def nvml_arguments(row):
    """What a question of NVML carries, as the guest's entries put it."""
    if row.cls == "guest":
        return FIELD_VALUE
    out, previous = b"", None
    for param in row.params:
        version = nvml_table.version_of(param)
        follows_text = previous is not None and previous.note == "text"
        if version:
            size = NVML_SIZES[param.target]
            out += struct.pack("<I", size | version << 24).ljust(size, b"\0")
        elif not param.note and not follows_text and param is not (row.devices or [None])[0]:
            out += bytes(8 if param.type == "unsigned long long" else 4)
        previous = param
    return out


def nvml_seeds(by_name):
    """Every question of NVML once, and what is asked before and after."""
    query, process = by_name["nvml_query"], by_name["nvml_process"]
    for row in nvml_table.load(ROOT / "common" / "api").rows:
        if row.number:
            arguments = nvml_arguments(row)
            asked = bytes([query.index, NO_CONTEXT]) + literal(row.number) + literal(0) + bytes([len(arguments)]) + arguments
            yield row.symbol, behaviour() + asked + record(process, NO_CONTEXT)
    yield "nvml_process-with-context", behaviour() + preamble(by_name) + record(process)


def worker_seeds():
    all_rows = rows()
    by_name = {row.name: row for row in all_rows}
    made = preamble(by_name)
    for row in all_rows:
        yield row.name, behaviour() + made + record(row)
        if row.may_be_posted:
            yield f"{row.name}-posted", behaviour(busy=2) + made + record(row, POSTED) + record(by_name["stream_query"])
    yield from sequences(by_name)
    yield from nvml_seeds(by_name)


def plain_body(row):
    """The body as it travels."""
    out = b""
    for kind, _, cap, handle, name in row.fields:
        value = field_value(row, name)
        if kind in ("bytes", "text"):
            data = value if isinstance(value, bytes) else b""
            out += struct.pack("<I", len(data)) + data
        elif kind == "raw":
            out += bytes(88)
        else:
            size = 8 if kind in ("u64", "handle") else 4
            out += (value if isinstance(value, int) else 0).to_bytes(8, "little")[:size]
    return out


def reply_body(fields):
    sizes = {"u32": 4, "i32": 4, "f32": 4}
    return b"".join(struct.pack("<I", 4) + b"abcd" if f.type in ("bytes", "text") else bytes(sizes.get(f.type, 8)) for f in fields)


def codec_seeds():
    for row in rows():
        yield f"{row.name}-request", bytes([row.index, 0]) + plain_body(row)
        if row.replies:
            yield f"{row.name}-reply", bytes([row.index, 1]) + reply_body(row.replies)
