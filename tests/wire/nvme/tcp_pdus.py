"""NVMe/TCP PDUs as bytes: cut out of a stream, taken apart, and put together, by nothing but the format's own rules."""

from __future__ import annotations

from collections.abc import Iterator

from wire.checksum import crc32c
from wire.layout import Header
from wire.nvme.kinds import TcpPduFlag, TcpPduKind
from wire.nvme.tcp_codec import (
    TcpCommand,
    TcpCompletion,
    TcpControllerData,
    TcpHeader,
    TcpHostData,
    TcpInitializeRequest,
    TcpInitializeResponse,
    TcpReadyToTransfer,
    TcpTerminate,
)

CODECS: dict[int, type[Header]] = {
    TcpPduKind.INITIALIZE_REQUEST: TcpInitializeRequest,
    TcpPduKind.INITIALIZE_RESPONSE: TcpInitializeResponse,
    TcpPduKind.HOST_TERMINATE: TcpTerminate,
    TcpPduKind.CONTROLLER_TERMINATE: TcpTerminate,
    TcpPduKind.COMMAND: TcpCommand,
    TcpPduKind.COMPLETION: TcpCompletion,
    TcpPduKind.HOST_DATA: TcpHostData,
    TcpPduKind.CONTROLLER_DATA: TcpControllerData,
    TcpPduKind.READY_TO_TRANSFER: TcpReadyToTransfer,
}
DIGEST_BYTES = 4


class Pdu:
    """One PDU, taken apart.

    header: of the class of its kind; header_digest, data_digest: as received, None where the flags say that there is
    none; padding, data: the bytes. raw: all of it.
    """

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        common = TcpHeader.decode(raw)
        self.kind = TcpPduKind(common.kind)
        self.flags, self.hlen, self.pdo, self.plen = common.flags, common.hlen, common.pdo, common.plen
        self.header = CODECS[self.kind].decode(raw)
        has_digests = self.kind > TcpPduKind.CONTROLLER_TERMINATE
        after = self.hlen
        self.header_digest = self.data_digest = None
        if has_digests and self.flags & TcpPduFlag.HEADER_DIGEST:
            self.header_digest = int.from_bytes(raw[after : after + DIGEST_BYTES], "little")
            after += DIGEST_BYTES
        end = len(raw)
        if has_digests and self.flags & TcpPduFlag.DATA_DIGEST and end > after:
            end -= DIGEST_BYTES
            self.data_digest = int.from_bytes(raw[end:], "little")
        start = self.pdo if has_digests and end > after else after
        self.padding = raw[after:start]
        self.data = raw[start:end]

    @property
    def is_header_intact(self) -> bool:
        """Whether the header digest, where there is one, is right."""
        return self.header_digest in (None, crc32c(self.raw[: self.hlen]))

    @property
    def is_data_intact(self) -> bool:
        """Whether the data digest, where there is one, is right."""
        return self.data_digest in (None, crc32c(self.data))

    def field(self, name: str) -> int:
        """A field of the header."""
        value = getattr(self.header, name)
        assert isinstance(value, int)
        return value

    def __repr__(self) -> str:
        return f"<{self.kind.name} {self.raw[:24].hex()}>"


def pdus(stream: bytes | bytearray) -> Iterator[Pdu]:
    """The whole PDUs at the start of a stream."""
    at = 0
    while len(stream) - at >= TcpHeader.SIZE:
        length = TcpHeader.decode(stream, at).plen
        if length < TcpHeader.SIZE or len(stream) - at < length:
            return
        yield Pdu(bytes(stream[at : at + length]))
        at += length


def pdu(
    header: Header,
    data: bytes = b"",
    *,
    digests: int = 0,
    alignment: int = 0,
    pdo: int | None = None,
    plen: int | None = None,
) -> bytes:
    """A PDU. Lengths, flags and digests are filled in as they should be; what is in `header.flags` is kept.

    digests: bit 0 header, bit 1 data. alignment: of data, in bytes. pdo, plen: instead of what they should be.
    """
    raw = bytearray(header.encode())
    head = TcpHeader.decode(raw)
    has_digests = head.kind > TcpPduKind.CONTROLLER_TERMINATE
    header_digest = digests & 1 if has_digests else 0
    data_digest = digests >> 1 & 1 if has_digests and data else 0
    after = len(raw) + DIGEST_BYTES * header_digest
    start = -(-after // alignment) * alignment if alignment and data else after
    head.flags |= header_digest | data_digest << 1
    head.hlen = head.hlen or len(raw)
    head.pdo = (start if data else 0) if pdo is None else pdo
    if not has_digests:
        head.pdo = 0 if pdo is None else pdo
    head.plen = start + len(data) + DIGEST_BYTES * data_digest if plen is None else plen
    raw[: TcpHeader.SIZE] = head.encode()
    if header_digest:
        raw += crc32c(bytes(raw)).to_bytes(DIGEST_BYTES, "little")
    raw += bytes(start - after) + data
    if data_digest:
        raw += crc32c(data).to_bytes(DIGEST_BYTES, "little")
    return bytes(raw)
