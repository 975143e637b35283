"""Damage to NVMe/TCP PDUs that knows their structure: each field, lengths, digests, data, order, and plain noise."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.wire.nvme.tcp_pdus import CODECS
from wire.checksum import crc32c
from wire.nvme.kinds import TcpPduFlag, TcpPduKind
from wire.nvme.tcp_codec import TcpHeader


def field_values(raw: bytes, name: str, width: int) -> Iterator[int | bytes]:
    """Values for one field of a PDU that are worth a try: the ends of its range, its neighbours, single bits."""
    if width < 0:
        size = -width
        yield from (bytes(size), b"\xff" * size)
        return
    value = getattr(CODECS[raw[0]].decode(raw), name)
    top = (1 << width) - 1
    candidates = [0, 1, top, top - 1, value + 1, value - 1, value ^ 1 << (width - 1), value ^ 4, 24, 72, 128]
    yield from sorted({each & top for each in candidates if 0 <= each <= top} - {value})


def with_field(raw: bytes, name: str, value: int | bytes, *, seals: bool) -> bytes:
    """A PDU with another value in a field of its header; seals: with a header digest that is right for that."""
    codec = CODECS[raw[0]]
    header = codec.decode(raw)
    setattr(header, name, value)
    changed = header.encode() + raw[codec.SIZE :]
    return sealed(changed, codec.SIZE) if seals else changed


def sealed(raw: bytes, hlen: int) -> bytes:
    """A PDU whose header digest is right, if it has one."""
    if raw[0] <= TcpPduKind.CONTROLLER_TERMINATE or not raw[1] & TcpPduFlag.HEADER_DIGEST or len(raw) < hlen + 4:
        return raw
    return raw[:hlen] + crc32c(raw[:hlen]).to_bytes(4, "little") + raw[hlen + 4 :]


def every_field(raw: bytes) -> Iterator[tuple[str, int | bytes]]:
    """Every field of a PDU's header, with each value that is worth a try."""
    for name, width in CODECS[raw[0]].FIELDS:
        assert isinstance(width, int)
        for value in field_values(raw, name, width):
            yield name, value


class Mutator:
    """Random damage to a sequence of PDUs."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def pick(self, limit: int) -> int:
        """A number below `limit`."""
        return int(self._rng.random() * limit)

    def damaged(self, raws: list[bytes]) -> bytes:
        """A stream of the PDUs, changed in one to three ways."""
        pieces = list(raws)
        for _ in range(1 + self.pick(3)):
            how = self._ways[self.pick(len(self._ways))]
            at = self.pick(len(pieces))
            pieces[at : at + 1] = how(self, pieces[at], pieces)
            pieces = pieces or [b""]
        return b"".join(pieces)

    def one(self, raw: bytes) -> bytes:
        """A single PDU, damaged."""
        return self.damaged([raw])

    def _field(self, raw: bytes, _: list[bytes]) -> list[bytes]:
        if not raw or raw[0] not in CODECS or len(raw) < CODECS[raw[0]].SIZE:
            return [raw]
        name, width = CODECS[raw[0]].FIELDS[self.pick(len(CODECS[raw[0]].FIELDS))]
        assert isinstance(width, int)
        value: int | bytes
        if width < 0:
            value = self._noise(-width)
        else:
            values = list(field_values(raw, name, width))
            value = values[self.pick(len(values))] if values and self._rng.random() < 0.7 else self.pick(1 << width)
        return [with_field(raw, name, value, seals=self._rng.random() < 0.6)]

    def _flip(self, raw: bytes, _: list[bytes]) -> list[bytes]:
        changed = bytearray(raw)
        for _ in range(1 + self.pick(3)):
            if changed:
                reach = min(len(changed), 80) if self._rng.random() < 0.7 else len(changed)
                changed[self.pick(reach)] ^= 1 << self.pick(8)
        return [bytes(changed)]

    def _cut(self, raw: bytes, _: list[bytes]) -> list[bytes]:
        return [raw[: self.pick(len(raw) + 1)]]

    def _drop(self, _: bytes, __: list[bytes]) -> list[bytes]:
        return []

    def _twice(self, raw: bytes, _: list[bytes]) -> list[bytes]:
        return [raw, raw]

    def _other(self, raw: bytes, pieces: list[bytes]) -> list[bytes]:
        return [pieces[self.pick(len(pieces))], raw]

    def _insert(self, raw: bytes, _: list[bytes]) -> list[bytes]:
        at = self.pick(len(raw) + 1)
        return [raw[:at] + self._noise(1 + self.pick(40)) + raw[at:]]

    def _unknown(self, raw: bytes, _: list[bytes]) -> list[bytes]:
        head = TcpHeader(kind=self.pick(256), flags=self.pick(256), hlen=self.pick(256), pdo=self.pick(256))
        head.plen = self.pick(300) if self._rng.random() < 0.7 else self.pick(1 << 32)
        return [head.encode() + self._noise(self.pick(200)), raw]

    def _noise(self, length: int) -> bytes:
        return bytes(self.pick(256) for _ in range(length))

    _ways = (_field, _field, _field, _field, _flip, _flip, _cut, _drop, _twice, _other, _insert, _unknown)
