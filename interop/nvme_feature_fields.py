"""What tshark calls the bits of features: in CDW11 of Set Features, and in DW0 of what answers Get Features.

Follows NVM Express Base 2.0 5.27.1 and NVM Command Set 1.0 4.1.3.
"""

from __future__ import annotations

from collections.abc import Mapping

from interop.comparison import Value
from wire.nvme import FeatureId, FeaturesCommand, HostBehavior, QueueCounts, Timestamp

Fields = dict[str, list[Value]]


def set_features(capsule: bytes) -> Fields:
    """Our values for what tshark prints of a Set Features command, beside its dwords."""
    command, prefix = FeaturesCommand.decode(capsule), "nvme.cmd.set_features."
    fields: Fields = {f"{prefix}dword10.fid": [command.fid], f"{prefix}dword10.sv": [command.save >> 7]}
    fields[f"{prefix}dword14.uuid"] = [command.uuid_index]
    if command.fid == FeatureId.NUMBER_OF_QUEUES:
        counts = QueueCounts.decode(capsule, CDW11)
        fields |= {f"{prefix}dword11.nq": [command.cdw11], f"{prefix}dword11.nq.nsqr": [counts.submission]}
        fields[f"{prefix}dword11.nq.ncqr"] = [counts.completion]
    return fields | _bits(f"{prefix}dword11.", command.fid, command.cdw11)


def get_features(capsule: bytes) -> Fields:
    """Our values for what tshark prints of a Get Features command, beside its dwords."""
    command = FeaturesCommand.decode(capsule)
    return {
        "nvme.cmd.get_features.dword10.fid": [command.fid],
        "nvme.cmd.set_features.dword10.sel": [command.select & 7],  # its name for a field of Get Features
        "nvme.cmd.get_features.dword14.uuid": [command.uuid_index],
    }


def feature_result(capsule: bytes, dw0: int) -> Fields:
    """Our values for what tshark prints of DW0 in the completion of Get Features."""
    fid, prefix = FeaturesCommand.decode(capsule).fid, "nvme.cqe.dword0.get_features."
    queues: Fields = {f"{prefix}nq.nsqa": [dw0 & 0xFFFF], f"{prefix}nq.ncqa": [dw0 >> 16]}
    return {**_bits(prefix, fid, dw0), **(queues if fid == FeatureId.NUMBER_OF_QUEUES else {})}


def feature_data(capsule: bytes, data: bytes) -> Fields:
    """Our values for what tshark prints of the data of Set Features, and of Get Features, under the same names."""
    match FeaturesCommand.decode(capsule).fid:
        case FeatureId.TIMESTAMP:
            return {"nvme.set_features.tst.ms": [Timestamp.decode(data).timestamp]}
        case FeatureId.HOST_BEHAVIOR:
            return {"nvme.set_features.hbs.acre": [HostBehavior.decode(data).acre]}
    return {}


def _bits(prefix: str, fid: int, value: int) -> Fields:
    if fid not in BITS:
        return {}
    name, parts = BITS[fid]
    fields: Fields = {f"{prefix}{name}": [value]}
    for part, (low, width) in parts.items():
        fields[f"{prefix}{name}.{part}"] = [value >> low & (1 << width) - 1]
    return fields


CDW11 = 44
BITS: Mapping[int, tuple[str, Mapping[str, tuple[int, int]]]] = {
    FeatureId.ARBITRATION: ("arb", {"ab": (0, 3), "lpw": (8, 8), "mpw": (16, 8), "hpw": (24, 8)}),
    FeatureId.POWER_MANAGEMENT: ("pm", {"ps": (0, 5), "wh": (5, 3)}),
    FeatureId.TEMPERATURE_THRESHOLD: ("tt", {"tmpth": (0, 16), "tmpsel": (16, 4), "thpsel": (20, 2)}),
    FeatureId.ERROR_RECOVERY: ("erec", {"tler": (0, 16), "dulbe": (16, 1)}),
    FeatureId.VOLATILE_WRITE_CACHE: ("vwce", {"wce": (0, 1)}),
    FeatureId.WRITE_ATOMICITY: ("wan", {"dn": (0, 1)}),
    FeatureId.ASYNC_EVENT_CONFIGURATION: (
        "aec",
        {"smart": (0, 8)}
        | {name: (bit, 1) for bit, name in enumerate(("ns", "fwa", "tel", "ana", "plat", "lba", "eg"), 8)}
        | {"disc": (31, 1)},
    ),
    FeatureId.KEEP_ALIVE_TIMER: ("kat", {"kato": (0, 32)}),
    FeatureId.HOST_IDENTIFIER: ("hid", {"exhid": (0, 1)}),
    FeatureId.RESERVATION_NOTIFICATION_MASK: ("rsrvn", {"regpre": (1, 1), "resrel": (2, 1), "resrpe": (3, 1)}),
    FeatureId.RESERVATION_PERSISTENCE: ("rsrvp", {"ptpl": (0, 1)}),
    FeatureId.NAMESPACE_WRITE_PROTECT: ("nswp", {"wps": (0, 3)}),
}
"""By feature: tshark's name of it, and of its fields the first bit and the number of bits."""
