"""Small number spaces of SGLs, the RDMA and TCP bindings, discovery, ANA and namespace identifiers.

Follows NVM Express Base 2.0 (4.1.2, 5.16, 5.17) and the NVMe/RDMA and NVMe/TCP transport specifications 1.0.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class SglKind(IntEnum):
    """The last byte of an SGL descriptor: type << 4 | subtype (NVMe Base figure 116)."""

    DATA_BLOCK = 0x00
    DATA_BLOCK_OFFSET = 0x01
    SEGMENT = 0x20
    LAST_SEGMENT = 0x30
    KEYED = 0x40
    KEYED_INVALIDATE = 0x4F
    TRANSPORT = 0x5A


class RdmaRejectStatus(IntEnum):
    """Why an NVMe/RDMA target refused a queue, in the private data of a REJ (NVMe/RDMA 3.2.3)."""

    INVALID_PRIVATE_DATA_LENGTH = 1
    INVALID_RECFMT = 2
    INVALID_QID = 3
    INVALID_HSQSIZE = 4
    INVALID_HRQSIZE = 5
    NO_RESOURCES = 6
    INVALID_IRD = 7
    INVALID_ORD = 8


class TcpPduKind(IntEnum):
    """Type of an NVMe/TCP PDU (NVMe/TCP 3.6)."""

    INITIALIZE_REQUEST = 0x00
    INITIALIZE_RESPONSE = 0x01
    HOST_TERMINATE = 0x02
    CONTROLLER_TERMINATE = 0x03
    COMMAND = 0x04
    COMPLETION = 0x05
    HOST_DATA = 0x06
    CONTROLLER_DATA = 0x07
    READY_TO_TRANSFER = 0x09


class TcpPduFlag(IntFlag):
    """Flags of a PDU's common header (NVMe/TCP 3.6.1)."""

    HEADER_DIGEST = 1 << 0
    DATA_DIGEST = 1 << 1
    LAST = 1 << 2
    SUCCESS = 1 << 3


class TcpDigest(IntFlag):
    """DGST of ICReq and ICResp: which digests are used (NVMe/TCP 3.6.2.2)."""

    HEADER = 1 << 0
    DATA = 1 << 1


class TcpFatalStatus(IntEnum):
    """FES of a TermReq: what was wrong with a PDU (NVMe/TCP 3.6.2.4)."""

    INVALID_HEADER_FIELD = 1
    SEQUENCE_ERROR = 2
    HEADER_DIGEST_ERROR = 3
    DATA_OUT_OF_RANGE = 4
    LIMIT_EXCEEDED = 5
    UNSUPPORTED_PARAMETER = 6


class TransportType(IntEnum):
    """TRTYPE of a discovery entry (NVMe over Fabrics 5.3)."""

    RDMA = 1
    FIBRE_CHANNEL = 2
    TCP = 3
    QUIC = 0xFD
    """Of this project's experiment: the specification has no number for it, and reserves this one."""
    LOOP = 0xFE


class AddressFamily(IntEnum):
    """ADRFAM of a discovery entry."""

    IPV4 = 1
    IPV6 = 2
    INFINIBAND = 3
    FIBRE_CHANNEL = 4


class SubsystemType(IntEnum):
    """SUBTYPE of a discovery entry."""

    REFERRAL = 1
    NVM = 2
    CURRENT_DISCOVERY = 3


class SecureChannel(IntEnum):
    """TREQ bits 1-0 of a discovery entry."""

    UNSPECIFIED = 0
    REQUIRED = 1
    NOT_REQUIRED = 2


class DiscoveryEntryFlag(IntFlag):
    """EFLAGS of a discovery entry."""

    DUPLICATE_INFORMATION = 1 << 0
    """The discovery services of all entries with this flag have the same to say."""
    PERSISTENT_CONNECTION = 1 << 1
    """A host may stay connected, and be told of changes."""


class DiscoveryLogOption(IntFlag):
    """LSP of Get Log Page for the discovery log, DLPF in its header, and the LID specific parameter of log page 00h."""

    EXTENDED_ENTRIES = 1 << 0
    PORT_LOCAL_ENTRIES = 1 << 1
    ALL_ENTRIES = 1 << 2


class RdmaQpType(IntEnum):
    """QPTYPE in the transport part of an RDMA discovery entry."""

    RELIABLE_CONNECTED = 1
    RELIABLE_DATAGRAM = 2


class RdmaProvider(IntEnum):
    """PRTYPE in the transport part of an RDMA discovery entry."""

    NONE = 1
    INFINIBAND = 2
    ROCE = 3
    ROCE_V2 = 4
    IWARP = 5


class RdmaConnectionService(IntEnum):
    """CMS in the transport part of an RDMA discovery entry."""

    RDMA_CM = 1


class ControllerType(IntEnum):
    """CNTRLTYPE of Identify Controller."""

    IO = 1
    DISCOVERY = 2
    ADMINISTRATIVE = 3


class IdentifierType(IntEnum):
    """NIDT of a namespace identification descriptor (NVMe Base figure 277)."""

    EUI64 = 1
    NGUID = 2
    UUID = 3
    CSI = 4


class AnaState(IntEnum):
    """State of an ANA group (NVMe Base 2.4.1)."""

    OPTIMIZED = 0x1
    NON_OPTIMIZED = 0x2
    INACCESSIBLE = 0x3
    PERSISTENT_LOSS = 0x4
    CHANGE = 0xF


TREQ_FLOW_CONTROL_OFF = 1 << 2
"""TREQ of a discovery entry: queues without SQ flow control can be had."""
