"""Between the messages on the wire and what they mean: one function builds, or judges, each."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from stacks.rdma.cm.config import CmConfig
from stacks.rdma.cm.connection import Connection
from stacks.rdma.cm.parameters import MTU_CODES, ConnectionParameters
from stacks.rdma.cm.states import ConnectionState
from stacks.rdma.enums import QpType
from stacks.runtime import LocalError, RemoteError
from wire.errors import WireError
from wire.ibcm import (
    CmApr,
    CmDrep,
    CmDreq,
    CmLap,
    CmMra,
    CmRej,
    CmRep,
    CmReq,
    CmRtu,
    IpCmHeader,
    RdmaPortSpace,
    RejectReason,
    address_bytes,
    gid_bytes,
)


@dataclass(frozen=True, slots=True)
class ConnectionRequest:
    """A REQ that makes sense.

    parameters: the peer's offer. private_data: without the RDMA-CM header. source_port: of that header, 0 without.
    """

    parameters: ConnectionParameters
    private_data: bytes
    source_port: int


def build_req(
    connection: Connection,
    own: ConnectionParameters,
    *,
    source_address: str,
    source_port: int,
    ca_guid: int,
    private_data: bytes,
    config: CmConfig,
) -> CmReq:
    """The REQ of a connection; raises LocalError when the private data is too long (IBTA 12.6.5)."""
    header, flow_label = b"", 0
    if uses_ip_addressing(connection.service_id):
        header = build_ip_header(source_address, connection.remote_address, source_port)
        flow_label = source_port * 31 + (connection.service_id & 0xFFFF) & 0xFFFFF
    transport_type, extended_type = _TRANSPORTS[own.qp_type]
    return CmReq(
        local_comm_id=connection.local_comm_id,
        service_id=connection.service_id,
        local_ca_guid=ca_guid,
        local_qpn=own.qpn,
        responder_resources=own.responder_resources,
        initiator_depth=own.initiator_depth,
        remote_cm_response_timeout=config.response_timeout,
        transport_type=transport_type,
        starting_psn=own.starting_psn or 0,
        local_cm_response_timeout=config.response_timeout,
        retry_count=own.retry_count,
        pkey=_DEFAULT_PKEY,
        path_mtu=MTU_CODES[own.path_mtu],
        rnr_retry_count=own.rnr_retry,
        max_cm_retries=config.max_retries,
        srq=own.has_srq,
        extended_transport_type=extended_type,
        primary_local_lid=_ROCE_LID,
        primary_remote_lid=_ROCE_LID,
        primary_local_gid=gid_bytes(source_address),
        primary_remote_gid=gid_bytes(connection.remote_address),
        primary_flow_label=flow_label,
        primary_traffic_class=own.traffic_class,
        primary_hop_limit=_HOP_LIMIT,
        primary_local_ack_timeout=own.ack_timeout,
        private_data=header + padded(private_data, REQ_PRIVATE_BYTES - len(header)),
    )


def judge_req(message: CmReq, config: CmConfig) -> ConnectionRequest:
    """What a REQ asks for; raises RemoteError with the reject reason for what cannot be had here."""
    qp_type = _asking_type(message)
    path_mtu = _MTU_BYTES.get(message.path_mtu, 0)
    if not 0 < path_mtu <= config.max_path_mtu:
        raise RemoteError(RejectReason.INVALID_MTU, f"path MTU number {message.path_mtu}")
    parameters = ConnectionParameters(
        qpn=message.local_qpn,
        starting_psn=message.starting_psn,
        path_mtu=path_mtu,
        responder_resources=message.responder_resources,
        initiator_depth=message.initiator_depth,
        retry_count=message.retry_count,
        rnr_retry=message.rnr_retry_count,
        ack_timeout=message.primary_local_ack_timeout,
        has_srq=bool(message.srq),
        qp_type=qp_type,
        traffic_class=message.primary_traffic_class,
    )
    if not uses_ip_addressing(message.service_id):
        return ConnectionRequest(parameters, message.private_data, 0)
    source_port, private_data = read_ip_header(message.private_data)
    return ConnectionRequest(parameters, private_data, source_port)


def build_ip_header(source_address: str, destination_address: str, source_port: int) -> bytes:
    """The 36 bytes that RDMA-CM puts before the private data of a REQ (IBTA A11)."""
    try:
        return IpCmHeader(
            ip_version=ipaddress.ip_address(source_address).version,
            source_port=source_port,
            source_address=address_bytes(source_address),
            destination_address=address_bytes(destination_address),
        ).encode()
    except (ValueError, WireError) as error:
        raise LocalError(f"cannot address {destination_address} port {source_port}: {error}") from None


def read_ip_header(private_data: bytes) -> tuple[int, bytes]:
    """Source port of an RDMA-CM header, and what follows it; raises RemoteError for a version that is not known."""
    header = IpCmHeader.decode(private_data)
    if header.cma_major != 0 or header.ip_version not in (4, 6):
        raise RemoteError(RejectReason.UNSUPPORTED, "RDMA-CM header of an unknown version")
    return header.source_port, private_data[IpCmHeader.SIZE :]


def build_rep(
    connection: Connection, own: ConnectionParameters, *, ca_guid: int, private_data: bytes, config: CmConfig
) -> CmRep:
    """The REP of a connection; raises LocalError when the private data is too long (IBTA 12.6.8)."""
    # An XRC target has no queue pair number of its own in the protocol: Linux puts it where an EE context's goes.
    is_xrc = own.qp_type is QpType.XRC_RECV
    return CmRep(
        local_comm_id=connection.local_comm_id,
        remote_comm_id=connection.remote_comm_id,
        local_qpn=0 if is_xrc else own.qpn,
        local_eecn=own.qpn if is_xrc else 0,
        starting_psn=own.starting_psn or 0,
        responder_resources=own.responder_resources,
        initiator_depth=own.initiator_depth,
        target_ack_delay=config.target_ack_delay,
        rnr_retry_count=own.rnr_retry,
        srq=own.has_srq or is_xrc,
        local_ca_guid=ca_guid,
        private_data=padded(private_data, REP_PRIVATE_BYTES),
    )


def read_rep(message: CmRep, asked: QpType) -> ConnectionParameters:
    """The peer's offer in a REP. It names no path MTU, retry count or ACK timeout: those are the active side's."""
    return ConnectionParameters(
        qpn=message.local_eecn if asked is QpType.XRC_SEND else message.local_qpn,
        starting_psn=message.starting_psn,
        responder_resources=message.responder_resources,
        initiator_depth=message.initiator_depth,
        rnr_retry=message.rnr_retry_count,
        has_srq=bool(message.srq),
    )


def build_rtu(connection: Connection, private_data: bytes) -> CmRtu:
    """The RTU of a connection; raises LocalError when the private data is too long (IBTA 12.6.9)."""
    return CmRtu(
        local_comm_id=connection.local_comm_id,
        remote_comm_id=connection.remote_comm_id,
        private_data=padded(private_data, RTU_PRIVATE_BYTES),
    )


def build_mra(connection: Connection, config: CmConfig) -> CmMra:
    """The MRA that asks for time (IBTA 12.6.6)."""
    return CmMra(
        local_comm_id=connection.local_comm_id,
        remote_comm_id=connection.remote_comm_id,
        message_mraed=ABOUT_REQ if connection.is_passive else ABOUT_REP,
        service_timeout=config.service_timeout,
    )


def build_mra_to_lap(connection: Connection, config: CmConfig) -> CmMra:
    """The MRA that asks for time with a LAP (IBTA 12.6.6)."""
    mra = build_mra(connection, config)
    mra.message_mraed = ABOUT_LAP
    return mra


def build_lap(
    connection: Connection, source_address: str, alternate: str, private_data: bytes, config: CmConfig
) -> CmLap:
    """The LAP that proposes `alternate` for the peer; LocalError for too much private data (IBTA 12.6.12)."""
    settings = connection.settings
    return CmLap(
        local_comm_id=connection.local_comm_id,
        remote_comm_id=connection.remote_comm_id,
        remote_qpn=settings.dest_qpn,
        remote_cm_response_timeout=config.response_timeout,
        local_lid=_ROCE_LID,
        remote_lid=_ROCE_LID,
        local_gid=gid_bytes(source_address),
        remote_gid=gid_bytes(alternate),
        traffic_class=settings.traffic_class,
        hop_limit=_HOP_LIMIT,
        local_ack_timeout=settings.timeout,
        private_data=padded(private_data, LAP_PRIVATE_BYTES),
    )


def build_apr(local_comm_id: int, remote_comm_id: int, status: int, private_data: bytes) -> CmApr:
    """The APR that answers a LAP; LocalError for too much private data (IBTA 12.6.13)."""
    return CmApr(
        local_comm_id=local_comm_id,
        remote_comm_id=remote_comm_id,
        ap_status=status,
        private_data=padded(private_data, APR_PRIVATE_BYTES),
    )


def build_rej(connection: Connection, reason: int, *, private_data: bytes = b"", ari: bytes = b"") -> CmRej:
    """The REJ that ends a connection; raises LocalError when the data is too long (IBTA 12.6.7)."""
    return CmRej(
        local_comm_id=connection.local_comm_id,
        remote_comm_id=connection.remote_comm_id,
        message_rejected=_REJECTED_IN_STATE.get(connection.state, ABOUT_NEITHER),
        reject_info_length=len(ari),
        reason=reason,
        ari=padded(ari, ARI_BYTES),
        private_data=padded(private_data, REJ_PRIVATE_BYTES),
    )


def build_dreq(connection: Connection, private_data: bytes = b"") -> CmDreq:
    """The DREQ of a connection; raises LocalError when the private data is too long (IBTA 12.6.10)."""
    return CmDreq(
        local_comm_id=connection.local_comm_id,
        remote_comm_id=connection.remote_comm_id,
        remote_qpn=connection.settings.dest_qpn,
        private_data=padded(private_data, DREQ_PRIVATE_BYTES),
    )


def answer_dreq(message: CmDreq) -> CmDrep:
    """The DREP to a DREQ, whether or not the connection is known (IBTA 12.6.11)."""
    return CmDrep(local_comm_id=message.remote_comm_id, remote_comm_id=message.local_comm_id)


def uses_ip_addressing(service_id: int) -> bool:
    """Whether a service ID is one of RDMA-CM's port spaces, whose REQ begins with addresses (IBTA A11.2)."""
    return service_id >> 16 in _PORT_SPACES


def canonical_address(address: str) -> str:
    """The one text of an IP address; LocalError when it is none."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise LocalError(f"{address!r} is not a numeric IP address") from None


def peer_address(own: str, destination: str) -> str:
    """The one text of a peer's address; LocalError when it is none, or of the other family."""
    address = canonical_address(destination)
    if (":" in address) != (":" in own):
        raise LocalError(f"{own} cannot reach {address}: one is IPv4, the other IPv6")
    return address


def padded(data: bytes, size: int) -> bytes:
    """Private data filled up with zeros to what the message has for it; LocalError when that is not enough."""
    if len(data) > size:
        raise LocalError(f"private data of {len(data)} bytes, but this message holds {size}")
    return bytes(data).ljust(size, b"\0")


def _asking_type(message: CmReq) -> QpType:
    extended = message.extended_transport_type if message.transport_type == _EXTENDED else 0
    for qp_type, numbers in _TRANSPORTS.items():
        if numbers == (message.transport_type, extended):
            return qp_type
    raise RemoteError(RejectReason.INVALID_TRANSPORT_TYPE, f"transport type {message.transport_type}, {extended}")


REQ_PRIVATE_BYTES = 92
REP_PRIVATE_BYTES = 196
RTU_PRIVATE_BYTES = 224
REJ_PRIVATE_BYTES = 148
DREQ_PRIVATE_BYTES = 220
LAP_PRIVATE_BYTES = 168
APR_PRIVATE_BYTES = 148
ARI_BYTES = 72

ABOUT_REQ, ABOUT_REP, ABOUT_NEITHER = 0, 1, 2
"""Which message a REJ or MRA is about."""
ABOUT_LAP = 2

_REJECTED_IN_STATE = {
    ConnectionState.REQ_RCVD: ABOUT_REQ,
    ConnectionState.MRA_REQ_SENT: ABOUT_REQ,
    ConnectionState.REP_RCVD: ABOUT_REP,
    ConnectionState.MRA_REP_SENT: ABOUT_REP,
}
_EXTENDED = 3
_TRANSPORTS = {QpType.RC: (0, 0), QpType.UC: (1, 0), QpType.XRC_SEND: (_EXTENDED, 1)}
_PORT_SPACES = frozenset(RdmaPortSpace)
_DEFAULT_PKEY = 0xFFFF
_ROCE_LID = 0xFFFF
_HOP_LIMIT = 64
_MTU_BYTES = {code: size for size, code in MTU_CODES.items()}
