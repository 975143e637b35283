"""What tshark calls the fields of NVMe/TCP PDUs, with our values for one PDU, without the NVMe entry in it."""

from __future__ import annotations

from interop.comparison import Expected, Value
from wire.layout import Header
from wire.nvme.kinds import TcpPduFlag, TcpPduKind
from wire.nvme.tcp_codec import (
    TcpControllerData,
    TcpHostData,
    TcpInitializeRequest,
    TcpInitializeResponse,
    TcpReadyToTransfer,
    TcpTerminate,
)
from wire.nvme.tcp_trace import TracedPdu

Fields = dict[str, list[Value]]


def tcp_fields(pdu: TracedPdu) -> Expected:
    """Our values for what tshark prints of a PDU."""
    header = pdu.header
    fields = _named("nvme-tcp.", header, {"type": "kind", **{name: name for name in ("flags", "hlen", "pdo", "plen")}})
    for name, flag in FLAGS.items():
        fields[f"nvme-tcp.flags.pdu.{name}"] = [int(bool(header.flags & flag))]
    for name, digest in (("hdgst", pdu.header_digest), ("ddgst", pdu.data_digest)):
        if digest is not None:
            fields[f"nvme-tcp.{name}"] = [int.from_bytes(digest.to_bytes(4, "little"), "big")]
            fields[f"nvme-tcp.{name}.status"] = [int(pdu.is_intact)]
    return {**fields, **_of_kind(pdu)}


def _of_kind(pdu: TracedPdu) -> Fields:
    raw = pdu.raw
    match pdu.header.kind:
        case TcpPduKind.INITIALIZE_REQUEST:
            names = {"pfv": "pfv", "maxr2t": "maxr2t", "hpda": "hpda", "digest": "digests"}
            return _named("nvme-tcp.icreq.", TcpInitializeRequest.decode(raw), names)
        case TcpPduKind.INITIALIZE_RESPONSE:
            names = {"pfv": "pfv", "cpda": "cpda", "digest": "digests", "maxdata": "maxh2cdata"}
            return _named("nvme-tcp.icresp.", TcpInitializeResponse.decode(raw), names)
        case TcpPduKind.HOST_DATA:
            host = TcpHostData.decode(raw)
            return _data(host.cid, host.ttag, _named("nvme-tcp.data.", host, RANGE))
        case TcpPduKind.CONTROLLER_DATA:
            controller = TcpControllerData.decode(raw)
            return _data(controller.cid, 0, _named("nvme-tcp.data.", controller, RANGE))
        case TcpPduKind.READY_TO_TRANSFER:
            r2t = TcpReadyToTransfer.decode(raw)
            return _data(r2t.cid, r2t.ttag, _named("nvme-tcp.r2t.", r2t, RANGE))
        case TcpPduKind.HOST_TERMINATE | TcpPduKind.CONTROLLER_TERMINATE as kind:
            prefix = "h2ctermreq" if kind is TcpPduKind.HOST_TERMINATE else "c2htermreq"
            return _terminate(f"nvme-tcp.{prefix}.", TcpTerminate.decode(raw))
    return {}


def _data(cid: int, ttag: int, fields: Fields) -> Fields:
    return {**fields, "nvme-tcp.cmd.cid": [cid], "nvme-tcp.ttag": [ttag]}


def _terminate(prefix: str, terminate: TcpTerminate) -> Fields:
    information: Value = terminate.fei_high << 16 | terminate.fei_low
    names = ("phfo", "phd", "upfo", "reserved")
    return {f"{prefix}fes": [terminate.fes], **{f"{prefix}{name}": [information] for name in names}}


def _named(prefix: str, header: Header, names: dict[str, str]) -> Fields:
    return {prefix + name: [getattr(header, ours)] for name, ours in names.items()}


RANGE = {"offset": "offset", "length": "length"}
FLAGS = {
    "hdgst": TcpPduFlag.HEADER_DIGEST,
    "ddgst": TcpPduFlag.DATA_DIGEST,
    "data_last": TcpPduFlag.LAST,
    "data_success": TcpPduFlag.SUCCESS,
}
