"""Compare tshark's reading of NVMe/TCP PDUs, and of the NVMe commands that they carry, with ours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from interop.captured import PORTS, Capture
from interop.comparison import Report, Value
from interop.nvme_data_fields import data_fields, in_capsule_fields
from interop.nvme_fields import capsule_fields, completion_fields
from interop.pdml import Field, Frame
from interop.tcp_fields import tcp_fields
from wire.nvme.kinds import TcpPduKind
from wire.nvme.tcp_trace import TracedPdu

DISPLAYED = "nvme-tcp"
DISSECTED = (
    *("-o", "nvme-tcp.check_hdgst:TRUE", "-o", "nvme-tcp.check_ddgst:TRUE"),
    *(word for port in PORTS for word in ("-d", f"tcp.port=={port},nvme-tcp")),
)
"""How tshark is to read it: with an eye on the digests, and at all of our ports."""


def compare_tcp(report: Report, capture: Capture, frames: Mapping[int, Frame]) -> list[str]:
    """Compare every field of each PDU and command; returns lines about what only one of us sees."""
    problems, pieces = [], defaultdict[int, list[Field]](list)
    pdus = capture.pdus
    for number in sorted(set(pdus) | set(frames)):
        ours, frame = pdus.get(number, []), frames.get(number)
        if frame and frame.is_malformed:
            continue
        theirs = _by_pdu(frame) if frame else []
        if len(ours) != len(theirs):
            problems.append(f"frame {number}: {len(theirs)} NVMe/TCP PDUs for tshark, {len(ours)} for us")
            continue
        for pdu, fields in zip(ours, theirs, strict=True):
            _compare_pdu(report, pdu, fields)
            if pdu.header.kind in DATA and pdu.command:
                pieces[id(pdu.command)] += filter(_is_of_data, fields)
    for command in capture.tcp.commands:
        if not any(number in frames and frames[number].is_malformed for number in command.data_frames):
            report.compare(f"{command.name} in frame {command.frame}", pieces[id(command)], data_fields(command))
    return problems


def _by_pdu(frame: Frame) -> list[list[Field]]:
    """The fields of each PDU that a frame completes: tshark prints each as a layer, and what is in it as the next."""
    found: list[list[Field]] = []
    for layer in frame.layers:
        if layer.name == "nvme-tcp":
            found.append([])
        if found and layer.name in ("nvme-tcp", "nvme"):
            found[-1] += layer.fields
    return found


def _compare_pdu(report: Report, pdu: TracedPdu, fields: Sequence[Field]) -> None:
    expected: dict[str, Sequence[Value]] = {**tcp_fields(pdu), **{name: [pdu.data] for name in PAYLOADS}}
    command, kind = pdu.command, pdu.header.kind
    if command and kind == TcpPduKind.COMMAND:
        expected |= {**capsule_fields(command), **in_capsule_fields(command)}
    elif command and kind == TcpPduKind.COMPLETION:
        expected |= completion_fields(command)
    found = [item for item in fields if item.name not in HEADINGS and not (kind in DATA and _is_of_data(item))]
    report.compare(f"PDU {kind} in frame {pdu.frame}", found, expected)


def _is_of_data(item: Field) -> bool:
    """Whether this field of a PDU with data is part of what the data was taken apart into."""
    return item.name.startswith("nvme.") and item.name not in PAYLOADS


DATA = (TcpPduKind.HOST_DATA, TcpPduKind.CONTROLLER_DATA)
PAYLOADS = ("nvme.data", "nvme-tcp.unknown_data")
"""Fields that are the data of one PDU, whole."""
HEADINGS = ("nvme-tcp.cmd.data",)
"""Fields of some length, but without a value."""
