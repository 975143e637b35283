"""What tshark calls the fields of NVMe capsules and completions, with our values for one command."""

from __future__ import annotations

from interop.comparison import Expected, Value
from interop.nvme_feature_fields import feature_result, get_features, set_features
from wire.layout import Header
from wire.nvme import (
    MORE,
    AdminOpcode,
    CompletionEntry,
    ConnectCommand,
    ConnectCompletion,
    ControllerCapabilities,
    ControllerConfiguration,
    ControllerStatus,
    ControllerVersion,
    DataBlockSgl,
    FabricsType,
    GetLogPage,
    IdentifyCommand,
    KeyedSgl,
    PropertyGetCommand,
    PropertyOffset,
    PropertySetCommand,
    QueueCounts,
    ReadWrite,
    SglKind,
    SubmissionEntry,
    is_do_not_retry,
    status_code,
)
from wire.nvme.traced_command import TracedCommand

Fields = dict[str, list[Value]]


def capsule_fields(command: TracedCommand) -> Expected:
    """Our values for what tshark prints of a command capsule."""
    fields = _sgl(command)
    if command.capsule[0] == AdminOpcode.FABRICS:
        return fields | _fabrics(command)
    return fields | _entry(command) | _admin(command) | _read_write(command)


def completion_fields(command: TracedCommand) -> Expected:
    """Our values for what tshark prints of a completion."""
    entry = CompletionEntry.decode(command.completion)
    fields = _named(
        "nvme.cqe.", entry, {"dword0": "dw0", "dword1": "dw1", "sqhd": "sqhd", "sqid": "sqid", "cid": "cid"}
    )
    word, code = entry.status, status_code(entry.status)
    bits = {
        "p": word & 1,
        "sc": code & 0xFF,
        "sct": code >> 8,
        "crd": word >> 12 & 3,
        "m": word >> 14 & 1,
        "dnr": word >> 15,
    }
    fields["nvme.cqe.status"] = [word]
    fields |= {f"nvme.cqe.status.{name}": [value] for name, value in bits.items()}
    match command.name:
        case "CONNECT":
            connect = ConnectCompletion.decode(command.completion)
            fields |= _named("nvme.fabrics.cqe.connect.", connect, {"cntrlid": "cntlid", "authreq": "authreq"})
        case "PROPERTY_GET":
            fields["nvme.fabrics.prop_get_set.data"] = [command.completion[:8]]
            fields |= _property(PropertyGetCommand.decode(command.capsule).offset, command.completion[:8])
        case "SET_FEATURES":
            counts = QueueCounts.decode(command.completion)
            fields["nvme.cqe.dword0.set_features.nq"] = [entry.dw0]
            fields["nvme.cqe.dword0.set_features.nq.nsqa"] = [counts.submission]
            fields["nvme.cqe.dword0.set_features.ncqa"] = [counts.completion]
        case "GET_FEATURES":
            fields |= feature_result(command.capsule, entry.dw0)
        case "ASYNC_EVENT_REQUEST" | "VERIFY":  # tshark 4.0 takes one for the other, whose opcode is the same
            fields |= _event(entry.dw0)
    return fields


def _event(dw0: int) -> Fields:
    prefix = "nvme.cqe.dword0.aev."
    return {f"{prefix}aet": [dw0 & 7], f"{prefix}aei": [dw0 >> 8 & 0xFF], f"{prefix}lpi": [dw0 >> 16 & 0xFF]}


def _status(word: int) -> Fields:
    code, prefix = status_code(word), "nvme.cqe.status"
    return {
        prefix: [word],
        f"{prefix}.p": [word & 1],
        f"{prefix}.sc": [code & 0xFF],
        f"{prefix}.sct": [code >> 8],
        f"{prefix}.crd": [word >> 12 & 3],
        f"{prefix}.m": [int(bool(word & MORE))],
        f"{prefix}.dnr": [int(is_do_not_retry(word))],
    }


def _named(prefix: str, header: Header, names: dict[str, str]) -> Fields:
    return {prefix + name: [getattr(header, ours)] for name, ours in names.items()}


def _sgl(command: TracedCommand) -> Fields:
    sgl: KeyedSgl | DataBlockSgl = KeyedSgl.decode(command.entry.sgl)
    if sgl.kind not in (SglKind.KEYED, SglKind.KEYED_INVALIDATE):
        sgl = DataBlockSgl.decode(command.entry.sgl)
    fields: Fields = {"nvme.cmd.sgl.type": [sgl.kind >> 4], "nvme.cmd.sgl.subtype": [sgl.kind & 15]}
    fields |= _named("nvme.cmd.sgl1.", sgl, {"addr": "address", "len": "length"})
    if isinstance(sgl, KeyedSgl):
        fields["nvme.cmd.sgl1.key"] = [sgl.key]
    return fields


def _fabrics(command: TracedCommand) -> Fields:
    prefix, capsule = "nvme.fabrics.cmd.", command.capsule
    connect = ConnectCommand.decode(capsule)
    fields = _named(prefix, connect, {"opc": "opcode", "rsvd": "flags", "cid": "cid", "fctype": "fctype"})
    match connect.fctype:
        case FabricsType.CONNECT:
            names = ("recfmt", "qid", "sqsize", "cattr", "kato")
            fields |= _named(f"{prefix}connect.", connect, {name: name for name in names})
        case FabricsType.PROPERTY_GET | FabricsType.PROPERTY_SET:
            setting = PropertySetCommand.decode(capsule)
            fields |= _named(f"{prefix}prop_get_set.", setting, {"attrib": "attrib", "offset": "offset"})
            fields[f"{prefix}prop_get_set.attrib.size"] = [setting.attrib & 7]
            fields |= _property(setting.offset, setting.value.to_bytes(8, "little"))
        case FabricsType.DISCONNECT:
            fields |= _named(f"{prefix}disconnect.", connect, {"recfmt": "recfmt"})
    return fields


def _property(offset: int, value: bytes) -> Fields:
    number = int.from_bytes(value[:4], "little")
    prefix = "nvme.fabrics.prop_get_set."
    match offset:
        case PropertyOffset.CAP:
            capabilities = ControllerCapabilities.decode(value)
            fields = _named("nvme.fabrics.prop_get.ccap.", capabilities, CAPABILITIES)
            return {**fields, "nvme.fabrics.prop_get.ccap": [int.from_bytes(value, "little")]}
        case PropertyOffset.CC:
            configuration = ControllerConfiguration.decode(value)
            return {**_same(f"{prefix}cc.", configuration), f"{prefix}cc": [number]}
        case PropertyOffset.CSTS:
            return {**_same(f"{prefix}csts.", ControllerStatus.decode(value)), f"{prefix}csts": [number]}
        case PropertyOffset.VS:
            names = {"mjr": "major", "mnr": "minor", "ter": "tertiary"}
            version = _named("nvme.fabrics.prop_get.vs.", ControllerVersion.decode(value), names)
            return {**version, "nvme.fabrics.prop_get.vs": [number]}
    return {f"{prefix}data.4B": [number], f"{prefix}data.8B": [int.from_bytes(value, "little")]}


def _same(prefix: str, header: Header) -> Fields:
    return _named(prefix, header, {name: name for name, _ in header.FIELDS})


def _entry(command: TracedCommand) -> Fields:
    entry = command.entry
    fields = _named("nvme.cmd.", entry, {"opc": "opcode", "cid": "cid", "nsid": "nsid", "mptr": "mptr"})
    fields |= {"nvme.cmd.fuse_op": [entry.flags & 3], "nvme.cmd.psdt": [entry.flags >> 6]}
    return fields | {f"nvme.cmd.dword{number}": [getattr(entry, f"cdw{number}")] for number in range(10, 16)}


def _admin(command: TracedCommand) -> Fields:
    capsule, entry = command.capsule, SubmissionEntry.decode(command.capsule)
    where = PREFIXES.get(command.name)
    if where is None:
        return {}
    fields: Fields = {f"{where}dword{number}": [getattr(entry, f"cdw{number}")] for number in (10, 11, 14)}
    match command.name:
        case "IDENTIFY":
            identify = IdentifyCommand.decode(capsule)
            fields |= _named(where, identify, {"dword10.cns": "cns", "dword10.cntid": "cntid"})
            fields |= _named(where, identify, {"dwrod11.nvmesetid": "cns_specific", "dword14.uuid_index": "uuid_index"})
        case "GET_LOG_PAGE":
            log = GetLogPage.decode(capsule)
            fields |= _named(where, log, {"dword10.id": "lid", "dword10.numdl": "numdl", "dword11.numdu": "numdu"})
            fields |= _named(where, log, {"dword11.lsi": "lsi", "lpo": "lpo"})
            fields[f"{where}dword10.lsp"] = [log.lsp_rae & 0xF]  # four bits in NVMe 1.4, which tshark 4.0 follows
            fields[f"{where}dword10.rae"] = [log.lsp_rae >> 7]
            fields[f"{where}numd"] = [log.numdu << 16 | log.numdl]
        case "SET_FEATURES":
            fields |= set_features(capsule)
        case "GET_FEATURES":
            fields |= get_features(capsule)
    return fields


def _read_write(command: TracedCommand) -> Fields:
    transfer = ReadWrite.decode(command.capsule)
    names = {"slba": "slba", "eilbrt": "reference_tag", "elbat": "application_tag", "elbatm": "application_mask"}
    control, hints = transfer.control, transfer.dsm
    return {
        **_named("nvme.cmd.", transfer, names),
        "nvme.cmd.nlb": [transfer.nlb + 1],
        "nvme.cmd.prinfo": [control >> 10 & 15],
        "nvme.cmd.prinfo.lbrtag": [control >> 10 & 1],
        "nvme.cmd.prinfo.apptag": [control >> 11 & 1],
        "nvme.cmd.prinfo.guard": [control >> 12 & 1],
        "nvme.cmd.prinfo.action": [control >> 13 & 1],
        "nvme.cmd.fua": [control >> 14 & 1],
        "nvme.cmd.lr": [control >> 15],
        "nvme.cmd.dsm.access_freq": [hints & 15],
        "nvme.cmd.dsm.access_lat": [hints >> 4 & 3],
        "nvme.cmd.dsm.seq_req": [hints >> 6 & 1],
        "nvme.cmd.dsm.incompressible": [hints >> 7 & 1],
    }


PREFIXES = {
    "IDENTIFY": "nvme.cmd.identify.",
    "GET_LOG_PAGE": "nvme.cmd.get_logpage.",
    "SET_FEATURES": "nvme.cmd.set_features.",
    "GET_FEATURES": "nvme.cmd.get_features.",
}
CAPABILITIES = {
    "mqes": "mqes",
    "cqr": "cqr",
    "to": "timeout",
    "dstrd": "dstrd",
    "nssrs": "nssrs",
    "css": "css",
    "bps": "bps",
    "mpsmin": "mpsmin",
    "mpsmax": "mpsmax",
    "pmrs": "pmrs",
    "cmbs": "cmbs",
}
