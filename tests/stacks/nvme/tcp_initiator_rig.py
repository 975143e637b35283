"""What the tests of the TCP initiator share: short names for what PDUs say, data, and a header made by hand."""

from __future__ import annotations

from wire.nvme.kinds import TcpDigest, TcpFatalStatus, TcpPduFlag, TcpPduKind
from wire.nvme.tcp_codec import TcpHeader

FIELD, SEQUENCE, HEADER_DIGEST, RANGE, LIMIT, UNSUPPORTED = (
    TcpFatalStatus.INVALID_HEADER_FIELD,
    TcpFatalStatus.SEQUENCE_ERROR,
    TcpFatalStatus.HEADER_DIGEST_ERROR,
    TcpFatalStatus.DATA_OUT_OF_RANGE,
    TcpFatalStatus.LIMIT_EXCEEDED,
    TcpFatalStatus.UNSUPPORTED_PARAMETER,
)
COMPLETION, CONTROLLER_DATA, R2T = (
    TcpPduKind.COMPLETION,
    TcpPduKind.CONTROLLER_DATA,
    TcpPduKind.READY_TO_TRANSFER,
)
LAST, SUCCESS = TcpPduFlag.LAST.value, TcpPduFlag.SUCCESS.value
DATA = bytes(range(256)) * 256
BOTH = int(TcpDigest.HEADER | TcpDigest.DATA)


def head(kind: int, *, flags: int = 0, hlen: int = 0, pdo: int = 0, plen: int = 0) -> bytes:
    return TcpHeader(kind=kind, flags=flags, hlen=hlen, pdo=pdo, plen=plen).encode()
