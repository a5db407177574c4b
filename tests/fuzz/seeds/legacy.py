"""Seeds for the field's protocol: streams of a revision-2 stub, and requests as they come from a guest."""
import struct


def message(type: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """Its magic number is written by tests/fuzz/legacy_stub.cpp."""
    return b"\xff\0\0\0" + struct.pack("<IIIcBHI", type, 1, 7, b"A", 2, 0, len(payload) if length is None else length) + payload


def request(opcode: int, *parameters: int, data: bytes = b"") -> bytes:
    end = 32 + 4 * len(parameters)
    return struct.pack("<8I", 0x00010000, opcode, 0, len(parameters), end, len(data), 0, 0) + struct.pack(f"<{len(parameters)}I", *parameters) + data


def stub_seeds():
    for name, stream in (
        ("request", message(1, request(1, 100, 200))),
        ("several", message(3) + message(1, request(0)) + message(3)),
        ("old-cuda", message(0x10, bytes(100)) + message(0x11) + message(0x12, bytes(2000)) + message(3)),
        ("too-large", message(1, bytes(1025)) + message(3)),
        ("unfinished", message(1, bytes(10), length=1024)),
        ("endless", message(1, length=0xFFFFFFFF)),
        ("unknown", message(2)),
        ("text", b"test\n"),
    ):
        yield name, b"\x3f" + stream
        yield f"{name}-in-pieces", b"\x06" + stream


def request_seeds():
    for opcode in (0, 1, 2, 5):
        yield f"opcode{opcode}", request(opcode)
    yield "add", request(1, 100, 200)
    yield "data", request(1, 1, 2, data=b"data")
    yield "longest", request(1, 1, 2, data=bytes(984))
    yield "version", b"\1" + request(0)[1:]
