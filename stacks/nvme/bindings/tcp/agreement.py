"""What the ends of a connection agree on with ICReq and ICResp (NVMe/TCP 3.6.2.2 and 3.6.2.3)."""

from __future__ import annotations

from dataclasses import dataclass

from stacks.nvme.bindings.tcp.errors import invalid_field, unsupported
from stacks.nvme.bindings.tcp.parameters import ALIGNMENT_MAX, HOST_DATA_BYTES_MIN
from transports.datagram import Address
from wire.nvme.kinds import TcpDigest
from wire.nvme.tcp_codec import TcpInitializeRequest, TcpInitializeResponse


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the ends of a connection agreed on, once Connect has succeeded: with this, another process goes on with it.

    remote: the host's address. digests: `TcpDigest`s; data_offset: where data begins in a C2HData PDU. qid, entries,
    sqhd, has_flow_control: of its queue; association: a text that is the same for all queues of one.
    """

    remote: Address
    digests: int
    data_offset: int
    qid: int
    entries: int
    sqhd: int
    has_flow_control: bool
    association: str


def check_request(request: TcpInitializeRequest) -> None:
    """PduError when a host asks for what cannot be. Any MAXR2T is right for who sends one R2T at a time."""
    if request.pfv:
        raise unsupported(8, f"PDU format version {request.pfv}")
    if request.hpda > ALIGNMENT_MAX:
        raise invalid_field(10, f"HPDA is {request.hpda}")


def check_response(response: TcpInitializeResponse, digests: int) -> None:
    """PduError when a controller answers with what cannot be; digests: what it was asked for."""
    if response.pfv:
        raise unsupported(8, f"PDU format version {response.pfv}")
    if response.cpda > ALIGNMENT_MAX:
        raise invalid_field(10, f"CPDA is {response.cpda}")
    if response.digests & ~digests:
        raise unsupported(11, "digests that were not asked for")
    if response.maxh2cdata < HOST_DATA_BYTES_MIN or response.maxh2cdata % 4:
        raise invalid_field(12, f"MAXH2CDATA is {response.maxh2cdata}")


def missing(response: TcpInitializeResponse, digests: int) -> str:
    """What a controller does without although it was asked for; empty when there is nothing."""
    return _NAMES[digests & ~response.digests]


def alignment_bytes(pda: int) -> int:
    """What HPDA or CPDA, 0-based dwords, asks data to be aligned to; 0 when any place is right.

    Every header ends at a multiple of 4 bytes by itself.
    """
    return (pda + 1) * 4 if pda else 0


_NAMES = {
    0: "",
    TcpDigest.HEADER: "header digest",
    TcpDigest.DATA: "data digest",
    TcpDigest.HEADER | TcpDigest.DATA: "digests",
}
