"""Seeds for the PCI device: steps as tests/fuzz/stub_device.cpp takes them."""
TIMER = b"\x03\x01"  # 200 ms: the next attempt to connect
ACCEPT = b"\x09\x03"
FRESH, KEPT, REFUSED = b"\x04\x03", b"\x04\x07", b"\x04\x33\x02" + b"too many".ljust(240, b"\0")
OPEN, OPENED_0, OPENED_1 = b"\x0c", b"\x05\x00", b"\x05\x01"
CLOSE_0, LOST_0, RELEASED_0 = b"\x0d\x00", b"\x06\x70", b"\x06\x04"
RING_0, RING_1 = b"\x01\x08\x01\x00", b"\x01\x09\x01\x00"
DIE, LISTEN, RESET, WORKER_ENDS = b"\x09\x01", b"\x09\x02", b"\x02", b"\x0b"
LEGACY, LEGACY_ANSWER, READ = b"\x11", b"\x07\x01\x24\x00", b"\x0a"
UP = TIMER + ACCEPT + FRESH
AGAIN = LISTEN + TIMER + ACCEPT


def device_seeds():
    yield "up", UP + OPEN + OPENED_0 + RING_0 + OPEN + OPENED_1 + RING_1 + CLOSE_0 + LOST_0 + RELEASED_0
    yield "refused", TIMER + ACCEPT + REFUSED + b"\x03\x03" + ACCEPT + FRESH
    yield "refused-channel", UP + OPEN + b"\x05\x04" + OPEN + OPENED_0
    yield "kept", UP + OPEN + OPENED_0 + DIE + RING_0 + AGAIN + b"\x04\x0f\x01" + CLOSE_0 + RELEASED_0
    yield "not-kept", UP + OPEN + OPENED_0 + DIE + AGAIN + FRESH + CLOSE_0 + OPEN + OPENED_0
    yield "closed-without-link", UP + OPEN + OPENED_0 + DIE + CLOSE_0 + AGAIN + KEPT
    yield "closed-between", UP + OPEN + OPENED_0 + DIE + AGAIN + CLOSE_0 + KEPT + READ + LOST_0 + RELEASED_0 + OPEN + OPENED_0
    yield "worker-ends", UP + OPEN + OPENED_0 + WORKER_ENDS + LOST_0 + CLOSE_0 + RELEASED_0
    yield "reset", UP + OPEN + OPENED_0 + OPEN + RESET + TIMER + ACCEPT + FRESH
    yield "legacy", UP + LEGACY + LEGACY_ANSWER + LEGACY + b"\x03\x04" + LEGACY + DIE
    yield "no-window", b"\x0f\x01" + UP + b"\x0f\x00\x03\x03" + ACCEPT + FRESH
    yield "own-doorbells", b"\x0e\x00" + UP + OPEN + OPENED_0 + RING_0
    yield "accesses", b"".join(bytes([0, how | size, 0x20, 0x10, 0]) + bytes(8 if how & 0x80 else 0) for how in (0, 0x80, 0xa0) for size in (1, 2, 3, 4, 8))
    yield "garbage", TIMER + ACCEPT + b"\x08\x00\x10GET / HTTP/1.1\r\n"
    yield "piled-up", UP + OPEN + OPENED_0 + b"\x86\x70\x87\x01\x24\x00" + LOST_0 + b"\x08\x04\x03abc"
