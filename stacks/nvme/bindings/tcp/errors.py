"""What is wrong with a PDU, raised inside a connection, which answers with a TermReq and ends."""

from __future__ import annotations

from stacks.runtime import RemoteError
from wire.nvme.kinds import TcpFatalStatus


class PduError(RemoteError):
    """A PDU that ends the connection.

    code: a `TcpFatalStatus`; information: FEI, what it says is wrong (a byte of the header, or the digest received).
    """

    def __init__(self, code: TcpFatalStatus, reason: str, *, information: int = 0) -> None:
        super().__init__(code, reason)
        self.information = information


def invalid_field(offset: int, reason: str) -> PduError:
    """A header field has a value that it cannot have; offset: its first byte in the header."""
    return PduError(TcpFatalStatus.INVALID_HEADER_FIELD, reason, information=offset)


def out_of_sequence(reason: str) -> PduError:
    """A PDU that cannot come now."""
    return PduError(TcpFatalStatus.SEQUENCE_ERROR, reason)


def unsupported(offset: int, reason: str) -> PduError:
    """A parameter that is valid and not supported here; offset: its first byte in the header."""
    return PduError(TcpFatalStatus.UNSUPPORTED_PARAMETER, reason, information=offset)
