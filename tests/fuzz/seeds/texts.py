# SPDX-License-Identifier: Apache-2.0
"""Seeds that are text: PTX out of programs and tests, the broker's configuration, environments; and control messages."""
import json
import pathlib
import re
import struct

ROOT = pathlib.Path(__file__).resolve().parents[3]

HEADER = ".version 9.0\n.target sm_90\n.address_size 64\n"
KERNEL = (".visible .entry k(.param .u64 out, .param .u64 a, .param .u64 b, .param .u64 c) {\n.reg .b16 %h<8>; .reg .b32 %r<32>; .reg .b64 %rd<32>; "
          ".reg .f32 %f<32>; .reg .f64 %d<8>; .reg .pred %p<8>;\n")
STRING = re.compile(r'R"(\w*)\((.*?)\)\1"|"((?:\\.|[^"\\\n])*)"', re.S)


def strings_of(source):
    """The string literals of a C++ file, neighbours joined as the compiler joins them."""
    joined, end = "", None
    for match in STRING.finditer(source):
        if end is None or source[end : match.start()].strip():
            yield joined
            joined = ""
        joined += match.group(2) if match.group(2) is not None else match.group(3).encode().decode("unicode_escape")
        end = match.end()
    yield joined


def ptx_texts():
    for path in sorted((ROOT / "tests" / "programs").glob("*.ptx")):
        yield path.read_text()
    for folder in ("tests/unit/sim", "tests/conformance/fixtures", "tests/gpu"):
        for path in sorted((ROOT / folder).rglob("*.cpp")):
            for text in strings_of(path.read_text()):
                if ".version" in text:
                    yield text
                elif re.search(r"(?m)^\s*\.(visible|global|func|shared|const|weak|extern|entry)\b", text):
                    yield HEADER + text
                elif re.search(r"%(r|rd|f|p|h|d)\d", text):
                    yield HEADER + KERNEL + text + "\nret; }\n"


def ptx_seeds():
    for index, text in enumerate(dict.fromkeys(ptx_texts())):
        yield f"{index:03}.ptx", text.encode()


def ptx_words():
    """What the parser compares words with."""
    text = "".join((ROOT / "worker" / "sim" / "ptx" / name).read_text()
                   for name in ("instruction_words.cpp", "declarations.cpp", "parser.cpp", "body_parser.cpp", "operands.cpp"))
    words = set(re.findall(r'"([.%]?[a-z_][\w.:]*)"', text))
    return sorted(words | {"." + w for w in words if w[0] not in ".%"})


def config_words():
    example = (ROOT / "docs" / "broker.example.toml").read_text()
    return sorted(set(re.findall(r"(?m)^#?(\w+) =", example)) | {"[broker]", "[gpu]", "[client]", "MiB", "GiB", "TiB", '"""', "[[", "]]", "0x", "1979-05-27"})


ADMIN_REQUESTS = (
    {"request": "status"}, {"request": "settings"}, {"request": "reload"},
    *({"request": "list", "what": what} for what in ("vms", "clients", "workers", "gpus", "sockets")),
    {"request": "kill", "client": 7}, {"request": "kill", "vm": "web"}, {"request": "quarantine", "vm": "web"}, {"request": "release", "vm": "uid-1000"},
)


def admin_seeds():
    for index, request in enumerate(ADMIN_REQUESTS):
        yield f"{index:02}.json", json.dumps(request).encode()


def admin_words():
    return sorted({f'"{word}"' for request in ADMIN_REQUESTS for pair in request.items() for word in pair if isinstance(word, str)})


def environment_words():
    return sorted(set(re.findall(r'"(CUDA_\w+)"', (ROOT / "common" / "control" / "environment.cpp").read_text())))


def config_seeds():
    example = (ROOT / "docs" / "broker.example.toml").read_text()
    yield "example.toml", example.encode()
    yield "machine.toml", example[example.index("#[vm"):].replace("#", "", 1).replace("\n#", "\n").encode()
    yield "bad.toml", b'[broker]\nsocket = 5\nsocket_mode = "999"\nmax_clients = 0\nunknown = 1\n[gpu]\ndriver = "x"\n[nowhere]\n'
    yield "sizes.toml", b'client.window_size = "6MiB"\n[client.hello_timeout_ms]\n'
    yield "toml.toml", b'a = [1, 2.5, 1979-05-27T07:32:00Z, true, {b = "\\u00e9"}]\n[[t]]\nx = """\nlong\n"""\ny = 0x1f\n'


def environment_seeds():
    yield "pack", b"\0" + b"\x00" + b"0,1" + b"\xff" + b"\x01FASTEST\xff" + b"PATH=/bin\xff" + b"CUDA_CACHE_DISABLE=1"
    yield "all", b"\0" + b"\xff".join(bytes([i]) + b"1" for i in range(16))
    yield "twice", b"\0\x002\xff\x003"
    yield "long", b"\0\x00" + b"v" * 1025
    yield "unpack", b"\x01\x00CUDA_VISIBLE_DEVICES=0\0CUDA_MODULE_LOADING=LAZY\0"
    yield "foreign", b"\x01\x00LD_PRELOAD=x\0"


def control_seeds():
    """type, step, descriptors, what is set right; then the message."""
    hello = bytes(16) + struct.pack("<HHIQ", 0, 0, 23, 1) + b"program".ljust(64, b"\0") + b"CUDA_VISIBLE_DEVICES=0\0"
    for kind, body, fds in ((1, hello, 0), (2, bytes(16) + struct.pack("<I", 0), 2), (3, bytes(24) + b"GPU", 0), (4, bytes(24) + b"text", 0)):
        for step in (255, 3):
            yield f"type{kind}-step{step}", bytes([kind, step, fds, 63]) + body
    greeting = b"VGPC" + struct.pack("<HHIHH", 1, 0, 4096, 1, 0) + hello[16:]
    opening = bytes(16) + struct.pack("<II", 0, 4096) + greeting.ljust(4096, b"\0")
    for kind, body, fds in ((5, bytes(24), 0), (6, bytes(40), 0), (16, bytes(64), 1), (17, bytes(376), 1), (18, opening, 0), (19, bytes(552), 2), (20, bytes(24), 0),
                            (22, bytes(1048), 0)):
        yield f"link{kind}", bytes([kind, 255, fds, 63]) + body
    yield "surplus-descriptors", bytes([2, 255, 0x12, 63]) + bytes(20)
    yield "no-descriptor", bytes([2, 255, 0x00, 59]) + bytes(6) + b"\2" + bytes(20)
    yield "other-major", bytes([1, 255, 0, 47]) + bytes(12) + b"\2\0\0\0" + bytes(20)
    yield "newer-minor", bytes([1, 255, 0, 63]) + bytes(14) + b"\7\0" + struct.pack("<HHIQ", 6, 0, 0, 3)
    yield "garbage", b"\1\0\0\0GET / HTTP/1.1\r\n\r\n"


def ring_seeds():
    """Steps: 0-2 append with a size, 3 append a large one, 4 scribble, 5 move the tail, 6 spoil the head, 7 read."""
    honest = b"".join(bytes([0, n, 7, 1]) for n in range(0, 200, 7))
    yield "honest", honest
    yield "around", b"\x03\xff\x07\x01" * 70
    yield "full", b"\x03\xff" * 40 + b"\x07\x3f" + b"\x03\xff" * 10
    yield "scribbled", b"\x00\x20" * 3 + b"\x04" + struct.pack("<QB", 16, 4) + b"\xff\xff\xff\xff" + b"\x07\x3f"
    yield "tail", b"\x00\x20\x05\x7f\x07\x3f\x05\xff" + struct.pack("<Q", 1 << 40) + b"\x07\x3f"
    yield "pads", b"\x04" + struct.pack("<QB", 0, 8) + struct.pack("<IHH", 0x200000, 0, 0) + b"\x05\xff" + struct.pack("<Q", 0x200000) + b"\x07\x3f"
    yield "head", b"\x06" + struct.pack("<Q", 1 << 30) + b"\x00\x08\x07\x3f"
