"""What is wrong with a PDU, raised inside a connection, which answers with a TermReq and ends.

Which FES goes with what is a matter of reading; where SPDK and FreeBSD differ, ours is in brackets:

    type                    unknown, or of the other direction: invalid field 0; known, but not now: sequence
    flags, HLEN, PDO, PLEN  invalid field, of the first that is wrong (NVMe over Fabrics 1.1 7.4.7)
    PFV                     unsupported parameter 8 (SPDK: invalid field); HPDA, CPDA, MAXH2CDATA: invalid field
    header digest           header digest error, with the digest that came
    more data than allowed in one PDU, more commands than entries, a second R2T: limit exceeded
    TTAG of nothing asked for, or of another CID: sequence (SPDK at times, FreeBSD: invalid field)
    CCCID of no command, or of one that moves no data that way: invalid field 8
    DATAO, R2TO not where the last ended, or beyond the end: out of range (FreeBSD: sequence for the former)
    DATAL other than PLEN says: invalid field 16; LAST on the wrong one: invalid field 1 (FreeBSD: sequence)

An SGL that does not fit is the command's error, not the connection's, and so is a data digest.
"""

from __future__ import annotations

from stacks.runtime import RemoteError
from wire.nvme.kinds import TcpFatalStatus


class PduError(RemoteError):
    """A PDU that ends the connection.

    code: a `TcpFatalStatus`; information: FEI: the byte of the header that is wrong, or the digest that came; 0 where a
    status says no more.
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
