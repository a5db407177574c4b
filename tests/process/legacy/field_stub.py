# SPDX-License-Identifier: Apache-2.0
"""A stub of revision 2 as the field has it: written from the protocol's description alone, with numbers of its own.

All fields are little-endian. A message is a header of 24 bytes and a payload: magic, type, vm_id, request_id (u32 each), pool (char), priority (u8),
padding (u16), payload length (u32).
"""
import dataclasses
import socket
import struct

MAGIC = 0x56475055
HEADER = struct.Struct("<IIIIcBHI")
REQUEST, RESPONSE, PING, PONG, BUSY, QUARANTINED = 1, 2, 3, 4, 5, 6
OLD_CUDA = (0x10, 0x11, 0x12)

VERSION = 0x00010000
# version, opcode, flags, parameter count, data offset, data length, two reserved words
CALL = struct.Struct("<8I")
# version, status, result count, data offset, data length, microseconds, two reserved words
ANSWER = struct.Struct("<8I")
NO_OP, ADD, INFORMATION = 0, 1, 5


def call(opcode: int, *parameters: int, data: bytes = b"", version: int = VERSION, count: int | None = None, offset: int | None = None, length: int | None = None) -> bytes:
    """The payload of a request. count, offset and length may lie."""
    end = CALL.size + 4 * len(parameters)
    head = CALL.pack(version, opcode, 0, len(parameters) if count is None else count, end if offset is None else offset, len(data) if length is None else length, 0, 0)
    return head + struct.pack(f"<{len(parameters)}I", *parameters) + data


@dataclasses.dataclass
class Message:
    type: int
    vm_id: int
    request_id: int
    pool: bytes
    priority: int
    payload: bytes

    @property
    def status(self) -> int:
        return self._answer()[1]

    @property
    def results(self) -> tuple[int, ...]:
        return struct.unpack_from(f"<{self._answer()[2]}I", self.payload, ANSWER.size)

    @property
    def data(self) -> bytes:
        offset, length = self._answer()[3:5]
        return self.payload[offset : offset + length]

    @property
    def version(self) -> int:
        return self._answer()[0]

    def _answer(self) -> tuple[int, ...]:
        return ANSWER.unpack_from(self.payload)


class Gone(Exception):
    """The mediator closed the connection."""


class FieldStub:
    """One connection. Every wait ends after `seconds`, with TimeoutError."""

    def __init__(self, path, vm_id: int = 1, pool: bytes = b"A", priority: int = 2, seconds: float = 30):
        self.vm_id, self.pool, self.priority = vm_id, pool, priority
        self.next_id = 1
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        self.socket.connect(str(path))

    def __enter__(self) -> "FieldStub":
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def message(self, type: int, payload: bytes = b"", length: int | None = None, magic: int = MAGIC) -> bytes:
        """The bytes of the next message. length: what the header says, if not the truth."""
        head = HEADER.pack(magic, type, self.vm_id, self.next_id, self.pool, self.priority, 0, len(payload) if length is None else length)
        self.next_id += 1
        return head + payload

    def send(self, type: int, payload: bytes = b"", **lies) -> int:
        """Returns the request's number."""
        self.socket.sendall(self.message(type, payload, **lies))
        return self.next_id - 1

    def receive(self) -> Message:
        magic, type, vm_id, request_id, pool, priority, _, length = HEADER.unpack(self._exactly(HEADER.size))
        if magic != MAGIC:
            raise ValueError(f"a message with magic {magic:#x}")
        return Message(type, vm_id, request_id, pool, priority, self._exactly(length))

    def ask(self, payload: bytes) -> Message:
        """One request and its answer."""
        number = self.send(REQUEST, payload)
        answer = self.receive()
        if answer.request_id != number:
            raise ValueError(f"the answer to {number} is one to {answer.request_id}")
        return answer

    def add(self, left: int, right: int) -> int:
        answer = self.ask(call(ADD, left, right))
        if (answer.type, answer.status) != (RESPONSE, 0):
            raise ValueError(f"{left}+{right}: type {answer.type}, payload {answer.payload.hex()}")
        return answer.results[0]

    def is_cut_off(self) -> bool:
        """True once the mediator has closed; an answer instead is an error."""
        try:
            self.receive()
        except (Gone, ConnectionResetError):
            return True
        return False

    def _exactly(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            part = self.socket.recv(size - len(received))
            if not part:
                raise Gone(f"{len(received)} of {size} bytes came")
            received += part
        return received
