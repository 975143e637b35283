"""What tshark calls the fields of the data that NVMe commands move, with our values for one command."""

from __future__ import annotations

from collections.abc import Callable

from interop.comparison import Expected, Value
from interop.nvme_feature_fields import feature_data
from interop.nvme_log_fields import log_fields
from wire.nvme import (
    ConnectData,
    ControllerVersion,
    GetLogPage,
    IdentifyCns,
    IdentifyCommand,
    IdentifyController,
    IdentifyNamespace,
    LbaFormat,
    PowerState,
    decode_nsids,
    padded_text,
)
from wire.nvme.traced_command import TracedCommand

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
            return log_fields(GetLogPage.decode(command.capsule), data)
        case "SET_FEATURES" | "GET_FEATURES":
            return feature_data(command.capsule, data)
    return {}


def in_capsule_fields(command: TracedCommand) -> Expected:
    """Our values for what tshark prints of data in a capsule."""
    match command.name if command.in_capsule else "":
        case "CONNECT":
            return _connect(command.in_capsule)
        case "SET_FEATURES":
            return feature_data(command.capsule, command.in_capsule)
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


IDENTIFY: dict[int, Callable[[bytes], Fields]] = {
    IdentifyCns.CONTROLLER: _controller,
    IdentifyCns.NAMESPACE: _namespace,
    IdentifyCns.ACTIVE_NAMESPACES: _namespace_list,
}
LPA = ("smrt", "cmds", "elp", "tel", "ple")
