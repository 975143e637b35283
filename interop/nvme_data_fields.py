"""What tshark calls the fields of the data that NVMe commands move, with our values for one command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from interop.comparison import Expected, Value
from wire.layout import Header
from wire.nvme import (
    AnaGroup,
    AnaHeader,
    ConnectData,
    ControllerVersion,
    DiscoveryEntry,
    DiscoveryHeader,
    EffectsEntry,
    GetLogPage,
    IdentifyCns,
    IdentifyCommand,
    IdentifyController,
    IdentifyNamespace,
    LbaFormat,
    LogPage,
    PowerState,
    RdmaAddress,
    SmartLog,
    decode_nsids,
    padded_text,
)
from wire.nvme.rdma_trace import TracedCommand

Fields = dict[str, list[Value]]


def data_fields(command: TracedCommand) -> Expected:
    """Our values for what tshark prints of a command's data; empty when it does not take the data apart."""
    data = bytes(command.data)
    if not data:
        return {}
    match command.name:
        case "CONNECT":
            return _connect(data)
        case "IDENTIFY":
            return IDENTIFY.get(IdentifyCommand.decode(command.capsule).cns, _opaque)(data)
        case "GET_LOG_PAGE":
            log = GetLogPage.decode(command.capsule)
            if log.lid == LogPage.DISCOVERY:
                return _discovery(data, log.lpo)
            return LOGS.get(log.lid, _opaque)(data) if not log.lpo else {}
    return {}


def _opaque(_data: bytes) -> Fields:
    return {}  # compared as the payload of each packet


def _connect(data: bytes) -> Fields:
    connect, prefix = ConnectData.decode(data), "nvme.fabrics.cmd.connect.data."
    return {
        f"{prefix}hostid": [connect.hostid],
        f"{prefix}cntrlid": [connect.cntlid],
        f"{prefix}subnqn": [padded_text(connect.subnqn)],
        f"{prefix}hostnqn": [padded_text(connect.hostnqn)],
    }


def _controller(data: bytes) -> Fields:
    controller, prefix = IdentifyController.decode(data), "nvme.cmd.identify.ctrl."
    fields: Fields = {prefix + name: [getattr(controller, name)] for name, _ in controller.FIELDS}
    for name in ("ioccsz", "iorcsz", "icdoff", "fcatt", "msdbd", "ofcs"):
        fields[f"{prefix}nvmeof.{name}"] = fields[prefix + name]
    for name in ("nvmsr", "vwci", "mec"):
        fields[f"{prefix}mi.{name}"] = fields[prefix + name]
    for name, half in (("tnvmcap", data[280:296]), ("unvmcap", data[296:312])):
        fields[prefix + name] = [half]
    for name in ("sn", "mn", "subnqn"):
        fields[prefix + name] = [padded_text(getattr(controller, name))]
    version = ControllerVersion.decode(data, 80)
    guid = controller.fguid
    return fields | {
        f"{prefix}ver.mjr": [version.major],
        f"{prefix}ver.min": [version.minor],
        f"{prefix}ver.ter": [version.tertiary],
        f"{prefix}ieee": [int.from_bytes(controller.ieee, "little")],
        f"{prefix}fguid.vse": [int.from_bytes(guid[:8], "little")],
        f"{prefix}fguid.oui": [int.from_bytes(guid[8:11], "little")],
        f"{prefix}fguid.ei": [int.from_bytes(guid[11:], "little")],
        f"{prefix}hmmminds": [controller.hmminds],
        f"{prefix}nvscc": [controller.icsvscc],
        f"{prefix}psds": [controller.psd],
        f"{prefix}vs": [controller.vendor],
        **{f"{prefix}lpa.{name}": [controller.lpa >> bit & 1] for bit, name in enumerate(LPA)},
        **_power_states(f"{prefix}psds.psd", controller.psd),
    }


def _power_states(prefix: str, data: bytes) -> Fields:
    states = [PowerState.decode(data, offset) for offset in range(0, len(data), PowerState.SIZE)]
    names = ("mp", "enlat", "exlat", "rrt", "rrl", "rwt", "rwl", "idlp", "actp")
    fields: Fields = {f"{prefix}.{name}": [getattr(state, name) for state in states] for name in names}
    return fields | {
        f"{prefix}.mxps": [state.flags & 1 for state in states],
        f"{prefix}.nops": [state.flags >> 1 & 1 for state in states],
        f"{prefix}.ips": [state.ips >> 6 for state in states],
        f"{prefix}.apw": [state.apw & 7 for state in states],
        f"{prefix}.aps": [state.apw >> 6 for state in states],
    }


def _namespace(data: bytes) -> Fields:
    namespace, prefix = IdentifyNamespace.decode(data), "nvme.cmd.identify.ns."
    fields: Fields = {prefix + name: [getattr(namespace, name)] for name, _ in namespace.FIELDS}
    ends = range(LbaFormat.SIZE, LbaFormat.SIZE * (namespace.nlbaf + 2), LbaFormat.SIZE)
    formats = [int.from_bytes(namespace.lbaf[end - LbaFormat.SIZE : end], "little") for end in ends]
    return fields | {f"{prefix}lbaf": [*formats], f"{prefix}vs": [namespace.vendor]}


def _namespace_list(data: bytes) -> Fields:
    return {"nvme.cmd.identify.nslist.nsid": [*decode_nsids(data)]}


def _discovery(data: bytes, start: int) -> Fields:
    """`data` begins `start` bytes into the log: with the header, or with an entry."""
    prefix = "nvme.cmd.get_logpage.identify."
    fields: Fields = {}
    if not start:
        header = DiscoveryHeader.decode(data)
        fields = {f"{prefix}{name}": [getattr(header, name)] for name in ("genctr", "numrec", "recfmt")}
    offsets = range(0 if start else DiscoveryHeader.SIZE, len(data), DiscoveryEntry.SIZE)
    entries = [DiscoveryEntry.decode(data, offset) for offset in offsets]
    addresses = [RdmaAddress.decode(entry.tsas) for entry in entries]
    texts = {name: [padded_text(getattr(entry, name)) for entry in entries] for name in ("trsvcid", "subnqn", "traddr")}
    return {
        **fields,
        **_columns(f"{prefix}rcrd.", entries, {name: name for name in DISCOVERY}),
        **_columns(f"{prefix}rcrd.tsas.rdma_", addresses, {name: name for name in ("qptype", "prtype", "cms", "pkey")}),
        f"{prefix}rcrd.tsas": [entry.tsas for entry in entries],
        **{f"{prefix}rcrd.{name}": [*values] for name, values in texts.items()},
    }


def _columns(prefix: str, rows: Sequence[Header], names: Mapping[str, str]) -> Fields:
    return {prefix + name: [getattr(row, ours) for row in rows] for name, ours in names.items()}


def _smart(data: bytes) -> Fields:
    prefix, smart = "nvme.cmd.get_logpage.smart.", SmartLog.decode(data)
    fields = _columns(prefix, [smart], SMART)
    for index, name in enumerate(SMART_COUNTERS):
        fields[prefix + name] = [data[32 + 16 * index : 48 + 16 * index]]
    sensors = [int.from_bytes(smart.sensors[offset : offset + 2], "little") for offset in range(0, 16, 2)]
    return fields | {f"{prefix}ts.s{number}": [kelvin] for number, kelvin in enumerate(sensors, 1)}


def _effects(data: bytes) -> Fields:
    prefix = "nvme.cmd.get_logpage.cmd_and_eff."
    # tshark 4.0 skips the first entry of the I/O half, and so reads one past its end.
    offsets = [*range(0, 1024, EffectsEntry.SIZE), *range(1028, 2052, EffectsEntry.SIZE)]
    entries = [EffectsEntry.decode(data, offset) for offset in offsets]
    return _columns(f"{prefix}cseds.", entries, EFFECTS)


def _ana(data: bytes) -> Fields:
    prefix, header = "nvme.cmd.get_logpage.ana.", AnaHeader.decode(data)
    fields = _columns(prefix, [header], {"chcnt": "change_count", "ngd": "groups"})
    groups, nsids, offset = [], [], AnaHeader.SIZE
    for _ in range(header.groups):
        groups.append(AnaGroup.decode(data, offset))
        offset += AnaGroup.SIZE + 4 * groups[-1].nsids
        nsids += decode_nsids(data[offset - 4 * groups[-1].nsids : offset])
    fields |= _columns(f"{prefix}grp.", groups, {"id": "group", "nns": "nsids", "chcnt": "change_count"})
    states = [group.state & 15 for group in groups]
    return {
        **fields,
        f"{prefix}grp.anas.state": [*states],
        f"{prefix}grp.anas": [*states],
        f"{prefix}grp.nsid": [*nsids],
    }


IDENTIFY: dict[int, Callable[[bytes], Fields]] = {
    IdentifyCns.CONTROLLER: _controller,
    IdentifyCns.NAMESPACE: _namespace,
    IdentifyCns.ACTIVE_NAMESPACES: _namespace_list,
}
LOGS: dict[int, Callable[[bytes], Fields]] = {
    LogPage.SMART: _smart,
    LogPage.COMMAND_EFFECTS: _effects,
    LogPage.ANA: _ana,
}
DISCOVERY = ("trtype", "adrfam", "subtype", "treq", "portid", "cntlid", "asqsz")
SMART = {
    "cw": "critical_warning",
    "ct": "temperature",
    "asc": "available_spare",
    "ast": "spare_threshold",
    "lae": "percentage_used",
    "egcws": "endurance_warning",
    "wctt": "warning_minutes",
    "cctt": "critical_minutes",
    "tmt1c": "tmt1_transitions",
    "tmt2c": "tmt2_transitions",
    "tmt1t": "tmt1_seconds",
    "tmt2t": "tmt2_seconds",
    "ts": "sensors",
}
LPA = ("smrt", "cmds", "elp", "tel", "ple")
SMART_COUNTERS = ("dur", "duw", "hrc", "hwc", "cbt", "pc", "poh", "us", "mie", "ele")
EFFECTS = {
    "csupp": "supported",
    "lbcc": "lba_content",
    "ncc": "namespace_capability",
    "nic": "namespace_inventory",
    "ccc": "controller_capability",
    "cse": "execution",
    "uss": "uuid_selection",
}
