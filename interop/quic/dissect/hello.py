"""What the judge wants of TLS 1.3 messages (RFC 8446 4): their types, randoms, cipher suites, and QUIC's parameters."""

from __future__ import annotations

from collections.abc import Iterator

CLIENT_HELLO, SERVER_HELLO, ENCRYPTED_EXTENSIONS, CERTIFICATE = 1, 2, 8, 11
QUIC_PARAMETERS = 0x39


class CryptoStream:
    """CRYPTO frames of one level, put together."""

    def __init__(self) -> None:
        self.data = b""
        self.end = 0
        """The highest offset that was sent."""
        self._later: dict[int, bytes] = {}

    def add(self, offset: int, data: bytes) -> None:
        """A frame."""
        self.end = max(self.end, offset + len(data))
        if len(data) > len(self._later.get(offset, b"")):
            self._later[offset] = data
        for start in sorted(self._later):
            if start > len(self.data):
                break
            self.data += self._later.pop(start)[len(self.data) - start :]

    def messages(self) -> Iterator[tuple[int, bytes]]:
        """Type and body of each that is whole."""
        at = 0
        while at + 4 <= len(self.data):
            end = at + 4 + int.from_bytes(self.data[at + 1 : at + 4], "big")
            if end > len(self.data):
                return
            yield self.data[at], self.data[at + 4 : end]
            at = end

    def message(self, kind: int) -> bytes | None:
        """The first whole one of a type."""
        return next((body for found, body in self.messages() if found == kind), None)


def client_random(hello: bytes) -> bytes:
    """Of a ClientHello."""
    return hello[2:34]


def offered_suites(hello: bytes) -> list[int]:
    """Of a ClientHello."""
    at = 35 + hello[34]
    length = int.from_bytes(hello[at : at + 2], "big")
    return [int.from_bytes(hello[place : place + 2], "big") for place in range(at + 2, at + 2 + length, 2)]


def chosen_suite(hello: bytes) -> int:
    """Of a ServerHello."""
    at = 35 + hello[34]
    return int.from_bytes(hello[at : at + 2], "big")


def quic_parameters(encrypted_extensions: bytes) -> dict[int, bytes]:
    """The transport parameters in EncryptedExtensions, raw, by number (RFC 9000 18)."""
    at = 2
    while at + 4 <= len(encrypted_extensions):
        kind = int.from_bytes(encrypted_extensions[at : at + 2], "big")
        end = at + 4 + int.from_bytes(encrypted_extensions[at + 2 : at + 4], "big")
        if kind == QUIC_PARAMETERS:
            return _parameters(encrypted_extensions[at + 4 : end])
        at = end
    return {}


def parameter_number(value: bytes) -> int:
    """A parameter that is a varint."""
    return int.from_bytes(value, "big") & ((1 << (8 * len(value) - 2)) - 1)


def _parameters(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        kind, at = _varint(data, at)
        length, at = _varint(data, at)
        found[kind] = data[at : at + length]
        at += length
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    length = 1 << (data[at] >> 6)
    return parameter_number(data[at : at + length]), at + length


INITIAL_MAX_STREAMS_BIDI, PREFERRED_ADDRESS = 0x08, 0x0D
