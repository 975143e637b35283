"""What tshark calls the fields of RoCE packets and connection manager messages, with our values for one packet."""

from __future__ import annotations

from collections import defaultdict

from interop.comparison import Expected, Value
from wire.errors import WireError
from wire.ibcm import (
    CmDrep,
    CmDreq,
    CmMessage,
    CmRej,
    CmRep,
    CmReq,
    CmRtu,
    IpCmHeader,
    MadHeader,
    RdmaPortSpace,
    address_text,
    gid_text,
    parse_mad,
)
from wire.layout import Header
from wire.mad import GSI_QPN
from wire.nvme import RdmaConnectAccept, RdmaConnectReject
from wire.roce import Aeth, AtomicAckEth, AtomicEth, Deth, Ieth, ImmDt, Reth, RocePacket

Fields = defaultdict[str, list[Value]]


def roce_fields(packet: RocePacket) -> Expected:
    """Our values for everything that tshark prints of one packet below UDP."""
    fields: Fields = defaultdict(list)
    _add(fields, "infiniband.bth.", packet.bth, BTH)
    for header in packet.headers:
        _add_header(fields, header)
    if fields["infiniband.deth.q_key"]:
        fields["infiniband.immdt"] *= 2  # in datagrams it is printed as header and as field
    fields["infiniband.invariant.crc"] = [int.from_bytes(packet.icrc.to_bytes(4, "little"), "big")]
    if packet.bth.dest_qp == GSI_QPN:
        _add_mad(fields, packet.payload)
    return fields


def _add(fields: Fields, prefix: str, header: Header, names: dict[str, str]) -> None:
    """Our fields under tshark's names: `names` maps what follows the prefix to the field."""
    for name, ours in names.items():
        fields[prefix + name].append(getattr(header, ours))


def _add_header(fields: Fields, header: Header) -> None:
    match header:
        case Deth():
            _add(fields, "infiniband.deth.", header, {"q_key": "qkey", "srcqp": "source_qp"})
        case Reth():
            _add(fields, "infiniband.reth.", header, {"va": "va", "r_key": "rkey", "dmalen": "length"})
        case Aeth():
            _add(fields, "infiniband.aeth.", header, {"syndrome": "syndrome", "msn": "msn"})
        case AtomicEth():
            _add(fields, "infiniband.reth.", header, {"va": "va", "r_key": "rkey"})
            _add(fields, "infiniband.atomiceth.", header, {"swapdt": "swap_add", "cmpdt": "compare"})
        case AtomicAckEth():
            fields["infiniband.atomicacketh.origremdt"] = [header.original]
        case ImmDt():
            fields["infiniband.immdt"] = [header.imm]
        case Ieth():
            fields["infiniband.ieth"] = [header.rkey.to_bytes(4, "big")] * 2  # header and field have one name


def _add_mad(fields: Fields, payload: bytes) -> None:
    try:
        header, message = parse_mad(payload)
    except WireError:
        return
    _add(fields, "infiniband.mad.", header, MAD)
    fields["infiniband.mad.data"] = fields["infiniband.smplid.smpdata"] = [payload[MadHeader.SIZE :]]
    _add_message(fields, message)


def _add_message(fields: Fields, message: CmMessage) -> None:
    prefix, names = CM_FIELDS.get(type(message), ("", {}))
    _add(fields, f"infiniband.cm.{prefix}", message, names)
    if isinstance(message, CmReq):
        _add_request(fields, message)
    elif isinstance(message, CmRep):  # tshark prints these for NVMe only
        accept = RdmaConnectAccept.decode(message.private_data)
        _add(fields, "nvme-rdma.cm.rsp.", accept, {"recfmt": "recfmt", "crqsize": "crqsize"})
    elif isinstance(message, CmRej):
        reject = RdmaConnectReject.decode(message.private_data)
        _add(fields, "nvme-rdma.cm.rej.", reject, {"recfmt": "recfmt", "status": "status"})
    elif isinstance(message, CmDreq):
        fields["infiniband.cm.req.remoteqpneecn"] = [message.remote_qpn]


def _add_request(fields: Fields, request: CmReq) -> None:
    prefix = "infiniband.cm.req."
    for name, path in (("prim", "primary"), ("alt", "alternate")):
        for theirs, ours in PATH.items():
            fields[f"{prefix}{name}_{theirs}"] = [getattr(request, f"{path}_{ours}")]
        for side in ("local", "remote"):
            gid: bytes = getattr(request, f"{path}_{side}_gid")
            fields[f"{prefix}{name}_{side}gid"] = [gid]
            fields[f"{prefix}{name}_{side}gid_ipv4"] = [gid_text(gid)]
    service = request.service_id
    fields[f"{prefix}serviceid.prefix"] = [(service >> 24).to_bytes(5, "big")]
    fields[f"{prefix}serviceid.protocol"] = [service >> 16 & 0xFF]
    fields[f"{prefix}serviceid.dport"] = [service & 0xFFFF]
    if service >> 16 == RdmaPortSpace.TCP:
        _add_ip_cm(fields, request)


def _add_ip_cm(fields: Fields, request: CmReq) -> None:
    prefix, header = "infiniband.cm.req.ip_cm", IpCmHeader.decode(request.private_data)
    _add(fields, f"{prefix}.", header, {"majv": "cma_major", "minv": "cma_minor", "ipv": "ip_version"})
    fields[f"{prefix}.sport"] = [header.source_port]
    fields[f"{prefix}.private"] = [request.private_data[IpCmHeader.SIZE :]]
    version = header.ip_version
    fields[f"{prefix}.sip{version}"] = [address_text(header.source_address, version)]
    fields[f"{prefix}.dip{version}"] = [address_text(header.destination_address, version)]


BTH = {
    "opcode": "opcode",
    "se": "solicited",
    "m": "mig_req",
    "padcnt": "pad_count",
    "tver": "tver",
    "p_key": "pkey",
    "destqp": "dest_qp",
    "a": "ack_req",
    "psn": "psn",
}
MAD = {
    "baseversion": "base_version",
    "mgmtclass": "mgmt_class",
    "classversion": "class_version",
    "method": "method",
    "status": "status",
    "classspecific": "class_specific",
    "transactionid": "transaction_id",
    "attributeid": "attribute",
    "attributemodifier": "modifier",
}
REQ = {
    "": "local_comm_id",
    ".serviceid": "service_id",
    ".localcaguid": "local_ca_guid",
    ".localqkey": "local_qkey",
    ".localqpn": "local_qpn",
    ".responderres": "responder_resources",
    ".localeecn": "local_eecn",
    ".initdepth": "initiator_depth",
    ".remoteeecn": "remote_eecn",
    ".remoteresptout": "remote_cm_response_timeout",
    ".transpsvctype": "transport_type",
    ".e2eflowctrl": "flow_control",
    ".startpsn": "starting_psn",
    ".localresptout": "local_cm_response_timeout",
    ".retrcount": "retry_count",
    ".pkey": "pkey",
    ".pppmtu": "path_mtu",
    ".rdcexist": "rdc_exists",
    ".rnrretrcount": "rnr_retry_count",
    ".maxcmretr": "max_cm_retries",
    ".srq": "srq",
    ".ext_transport": "extended_transport_type",
}
PATH = {
    "locallid": "local_lid",
    "remotelid": "remote_lid",
    "tfcclass": "traffic_class",
    "hoplim": "hop_limit",
    "sl": "sl",
    "subnetlocal": "subnet_local",
    "localacktout": "local_ack_timeout",
}
REP = {
    "": "local_comm_id",
    ".remotecommid": "remote_comm_id",
    ".localqkey": "local_qkey",
    ".localqpn": "local_qpn",
    ".localeecn": "local_eecn",
    ".startpsn": "starting_psn",
    ".respres": "responder_resources",
    ".initdepth": "initiator_depth",
    ".tgtackdelay": "target_ack_delay",
    ".failoveracc": "failover_accepted",
    ".e2eflowctrl": "flow_control",
    ".rnrretrcount": "rnr_retry_count",
    ".srq": "srq",
    ".localcaguid": "local_ca_guid",
    ".private": "private_data",
}
IDS = {".localcommid": "local_comm_id", ".remotecommid": "remote_comm_id", ".private": "private_data"}
REJ = {**IDS, ".msgrej": "message_rejected", ".rejinfolen": "reject_info_length", ".reason": "reason", ".ari": "ari"}
CM_FIELDS: dict[type[Header], tuple[str, dict[str, str]]] = {
    CmReq: ("req", REQ),
    CmRep: ("rep", REP),
    CmRtu: ("rtu", IDS),
    CmDreq: ("dreq", IDS),
    CmDrep: ("drsp", IDS),
    CmRej: ("rej", REJ),
}
