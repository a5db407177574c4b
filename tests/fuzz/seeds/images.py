# SPDX-License-Identifier: Apache-2.0
"""Seeds for what reads images of code: fatbins with plain and packed entries, a cubin's skeleton, text."""
import struct

PTX = b".version 7.0\n.target sm_70\n.address_size 64\n.visible .entry k() { ret; }\n"
WITH_MAGIC = b"\x7f"  # first byte of an input: no magic number is put in


def entry(payload, kind=1, arch=70, flags=0x11, compressed=0, uncompressed=0, header=64):
    return struct.pack("<HHIQIQIQQQQ", kind, 0x101, header, len(payload), compressed, 0, arch, 0, flags, 0, uncompressed) + payload


def fatbin(*entries):
    files = b"".join(entries)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(files)) + files


def lz4_block(data):
    """Literals only: a token, the rest of the length, the bytes."""
    rest = len(data) - 15
    return b"\xf0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + data


def zstd_frame(data):
    """One raw block in a single segment."""
    return struct.pack("<IBB", 0xFD2FB528, 0x20, len(data)) + struct.pack("<I", 1 | len(data) << 3)[:3] + data


def cubin(section=64):
    image = b"\x7fELF\x02\x01\x01\x41\x08" + bytes(7) + struct.pack("<HHIQQQIHHHHHH", 2, 190, 1, 0, 64 + section + 64, 64 + section, 0, 64, 56, 1, 64, 1, 0)
    image += b"s" * section
    image += struct.pack("<IIQQQQIIQQ", 0, 1, 0, 0, 64, section, 0, 0, 1, 0)
    return image + struct.pack("<IIQQQQQQ", 1, 5, 64, 0, 0, section, section, 8)


def forms():
    packed, frame = lz4_block(PTX), zstd_frame(PTX)
    yield "text", PTX + b"\0"
    yield "plain", fatbin(entry(PTX))
    yield "lz4", fatbin(entry(packed, flags=0x2011, compressed=len(packed), uncompressed=len(PTX)))
    yield "zstd", fatbin(entry(frame, flags=0x8011, compressed=len(frame), uncompressed=len(PTX)))
    yield "several", fatbin(entry(PTX, arch=75), entry(PTX, arch=90), entry(b"\x7fELF" + bytes(60), kind=2, arch=90, flags=0x2011))
    yield "cubin", cubin()
    yield "printing", fatbin(entry(b"extern vprintf __assertfail"))


def code_image_seeds():
    for name, image in forms():
        yield name, WITH_MAGIC + image


def image_size_seeds():
    yield from forms()
