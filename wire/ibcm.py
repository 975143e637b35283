"""The InfiniBand communication manager: its messages and the numbers in them (IBTA chapter 12, Annex A11).

A message is a `MadHeader` with class 7, class version 2 and method Send, and one of the classes here over the 232
bytes behind it, told by the header's attribute.
"""

from __future__ import annotations

import ipaddress
from enum import IntEnum

from wire.errors import WireError
from wire.ibcm_codec import (
    CmApr,
    CmDrep,
    CmDreq,
    CmLap,
    CmMra,
    CmRej,
    CmRep,
    CmReq,
    CmRtu,
    CmSidrRep,
    CmSidrReq,
    IpCmHeader,
)
from wire.mad import MAD_SIZE, Method, MgmtClass
from wire.mad_codec import MadHeader

CM_CLASS_VERSION = 2
CM_MESSAGE_SIZE = 232


class CmAttribute(IntEnum):
    """Attribute of the MAD header: which message follows (IBTA 12.6.2)."""

    REQ = 0x10
    MRA = 0x11
    REJ = 0x12
    REP = 0x13
    RTU = 0x14
    DREQ = 0x15
    DREP = 0x16
    SIDR_REQ = 0x17
    SIDR_REP = 0x18
    LAP = 0x19
    APR = 0x1A


class RejectReason(IntEnum):
    """Why a REQ or REP was refused (IBTA 12.6.7.2)."""

    NO_QP = 1
    NO_EEC = 2
    NO_RESOURCES = 3
    TIMEOUT = 4
    UNSUPPORTED = 5
    INVALID_COMM_ID = 6
    INVALID_COMM_INSTANCE = 7
    INVALID_SERVICE_ID = 8
    INVALID_TRANSPORT_TYPE = 9
    STALE_CONNECTION = 10
    NO_RDC = 11
    INVALID_GID = 12
    INVALID_LID = 13
    INVALID_SL = 14
    INVALID_TRAFFIC_CLASS = 15
    INVALID_HOP_LIMIT = 16
    INVALID_PACKET_RATE = 17
    INVALID_ALTERNATE_GID = 18
    INVALID_ALTERNATE_LID = 19
    INVALID_ALTERNATE_SL = 20
    INVALID_ALTERNATE_TRAFFIC_CLASS = 21
    INVALID_ALTERNATE_HOP_LIMIT = 22
    INVALID_ALTERNATE_PACKET_RATE = 23
    PORT_AND_CM_REDIRECT = 24
    PORT_REDIRECT = 25
    INVALID_MTU = 26
    INSUFFICIENT_RESPONDER_RESOURCES = 27
    CONSUMER = 28
    RNR_RETRY_COUNT = 29
    DUPLICATE_LOCAL_COMM_ID = 30
    INVALID_CLASS_VERSION = 31
    INVALID_FLOW_LABEL = 32
    INVALID_ALTERNATE_FLOW_LABEL = 33
    VENDOR_OPTION_NOT_SUPPORTED = 35


class SidrStatus(IntEnum):
    """Outcome of a service ID resolution (IBTA 12.11.2.2)."""

    VALID = 0
    UNSUPPORTED = 1
    REJECT = 2
    NO_QP = 3
    REDIRECT = 4
    UNSUPPORTED_VERSION = 5


class ApStatus(IntEnum):
    """What became of a proposed alternate path (IBTA 12.6.13.1). No capture: numbers as in Linux's ib_cm.h."""

    LOADED = 0
    INVALID_COMM_ID = 1
    UNSUPPORTED = 2
    REJECTED = 3
    REDIRECT = 4
    IS_PRIMARY_PATH = 5
    QPN_MISMATCH = 6
    REJECTED_LID = 7
    REJECTED_GID = 8
    REJECTED_FLOW_LABEL = 9
    REJECTED_TRAFFIC_CLASS = 10
    REJECTED_HOP_LIMIT = 11
    REJECTED_PACKET_RATE = 12
    REJECTED_SL = 13


class RdmaPortSpace(IntEnum):
    """Upper part of the service IDs that RDMA-CM uses."""

    IPOIB = 0x0002
    TCP = 0x0106
    UDP = 0x0111
    IB = 0x013F


CmMessage = CmReq | CmMra | CmRej | CmRep | CmRtu | CmDreq | CmDrep | CmSidrReq | CmSidrRep | CmLap | CmApr

CM_MESSAGES: dict[int, type[CmMessage]] = {
    CmAttribute.REQ: CmReq,
    CmAttribute.MRA: CmMra,
    CmAttribute.REJ: CmRej,
    CmAttribute.REP: CmRep,
    CmAttribute.RTU: CmRtu,
    CmAttribute.DREQ: CmDreq,
    CmAttribute.DREP: CmDrep,
    CmAttribute.SIDR_REQ: CmSidrReq,
    CmAttribute.SIDR_REP: CmSidrRep,
    CmAttribute.LAP: CmLap,
    CmAttribute.APR: CmApr,
}


def parse_mad(mad: bytes | bytearray | memoryview) -> tuple[MadHeader, CmMessage]:
    """Take a CM message apart.

    mad: the payload of a UD SEND to QP1, 256 bytes.

    Raises WireError when it is shorter, of another class, class version or method, or of an unknown attribute.
    """
    if len(mad) < MAD_SIZE:
        raise WireError(f"{MAD_SIZE} bytes needed, {len(mad)} there", format="MadHeader")
    header = MadHeader.decode(mad)
    if (header.mgmt_class, header.class_version, header.method) != _CM_SEND:
        raise WireError("not a communication manager's Send", format="MadHeader", field="mgmt_class")
    kind = CM_MESSAGES.get(header.attribute)
    if kind is None:
        raise WireError(f"unknown attribute {header.attribute:#x}", format="MadHeader", field="attribute")
    return header, kind.decode(mad, MadHeader.SIZE)


def build_mad(message: CmMessage, transaction_id: int) -> bytes:
    """The 256 bytes that carry `message`; WireError when a field is out of range.

    transaction_id: 64 bits, the same in a retransmission and in the answers.
    """
    header = MadHeader(
        mgmt_class=MgmtClass.COMMUNICATION,
        class_version=CM_CLASS_VERSION,
        method=Method.SEND,
        transaction_id=transaction_id,
        attribute=_ATTRIBUTES[type(message)],
    )
    return header.encode() + message.encode()


def service_id(port: int, space: int = RdmaPortSpace.TCP) -> int:
    """The service ID that RDMA-CM gives a port, 0 to 65535, of a port space (IBTA A11.2)."""
    return space << 16 | port


def address_bytes(address: str) -> bytes:
    """An IPv4 or IPv6 address in text as the 16 bytes of an `IpCmHeader`: IPv4 in the last four, zeros before."""
    return ipaddress.ip_address(address).packed.rjust(16, b"\0")


def address_text(address: bytes, ip_version: int) -> str:
    """The inverse of `address_bytes`."""
    return str(ipaddress.ip_address(address[12:] if ip_version == 4 else address))


def gid_bytes(address: str) -> bytes:
    """The GID of an IP address: IPv6 as it is, IPv4 mapped to ::ffff:a.b.c.d (IBTA A17.4.5)."""
    packed = ipaddress.ip_address(address).packed
    return packed if len(packed) == 16 else b"\0" * 10 + b"\xff\xff" + packed


def gid_text(gid: bytes) -> str:
    """The address of a GID of 16 bytes: IPv4 when mapped, else IPv6."""
    address = ipaddress.IPv6Address(gid)
    return str(address.ipv4_mapped or address)


_CM_SEND = (MgmtClass.COMMUNICATION, CM_CLASS_VERSION, Method.SEND)
_ATTRIBUTES: dict[type[CmMessage], int] = {kind: attribute for attribute, kind in CM_MESSAGES.items()}

__all__ = [
    "CM_CLASS_VERSION",
    "CM_MESSAGES",
    "CM_MESSAGE_SIZE",
    "ApStatus",
    "CmApr",
    "CmAttribute",
    "CmDrep",
    "CmDreq",
    "CmLap",
    "CmMessage",
    "CmMra",
    "CmRej",
    "CmRep",
    "CmReq",
    "CmRtu",
    "CmSidrRep",
    "CmSidrReq",
    "IpCmHeader",
    "MadHeader",
    "RdmaPortSpace",
    "RejectReason",
    "SidrStatus",
    "address_bytes",
    "address_text",
    "build_mad",
    "gid_bytes",
    "gid_text",
    "parse_mad",
    "service_id",
]
