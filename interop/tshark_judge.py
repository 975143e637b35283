"""Judge a capture by tshark: every RoCE, CM and NVMe field that it prints must be what our codecs decode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from interop.comparison import Expected, Report
from interop.nvme_data_fields import data_fields
from interop.nvme_fields import capsule_fields, completion_fields
from interop.outcome import DisagreementError
from interop.roce_fields import roce_fields
from interop.tshark import SEVERITY_WARNING, Field, Frame, dissect
from interop.tshark_marks import MARKED, kinds
from wire.datagrams import datagram_of
from wire.nvme.rdma_trace import RdmaTrace, TracedCommand
from wire.pcapng import decode_packets
from wire.roce import Position, RocePacket, icrc, parse_packet, stored_icrc
from wire.udp import ROCE_V2_PORT


@dataclass(slots=True)
class Capture:
    """A capture as we read it: RoCE packets by frame number, those with a wrong ICRC, and the NVMe commands."""

    packets: dict[int, RocePacket] = field(default_factory=dict)
    wrong_icrcs: list[int] = field(default_factory=list)
    trace: RdmaTrace = field(default_factory=RdmaTrace)


def read_capture(path: Path, ports: Iterable[int] = (4420,)) -> Capture:
    """Read a pcapng file; WireError when one of its RoCE packets does not parse."""
    capture = Capture(trace=RdmaTrace(frozenset(ports)))
    for number, packet in enumerate(decode_packets(path.read_bytes()), start=1):
        datagram = datagram_of(packet.data)
        if datagram and datagram.destination_port == ROCE_V2_PORT:
            capture.packets[number] = parse_packet(datagram.payload)
            if icrc(datagram.packet) != stored_icrc(datagram.packet):
                capture.wrong_icrcs.append(number)
            capture.trace.feed(number, datagram.source, datagram.destination, datagram.payload)
    return capture


@dataclass(slots=True)
class Judgement:
    """What was compared: fields that agree, packets, NVMe commands by name, and frames that tshark complains about.

    marked: kinds of frames of NVMe commands that it complains about.
    """

    agreed: int
    packets: int
    commands: Counter[str]
    malformed: list[str]
    marked: Counter[str]

    def __str__(self) -> str:
        text = f"{self.agreed} fields of {self.packets} packets and {self.commands.total()} NVMe commands agree"
        return f"{text}; frames that tshark calls malformed: {len(self.malformed)}" if self.malformed else text


def judge(path: Path, *, allow_malformed: bool = False, check_icrc: bool = True) -> Judgement:
    """Compare a capture with tshark's reading.

    allow_malformed: frames that tshark calls malformed, or warns about, are left out; else they fail the case, but for
    those that it marks whoever sends them.
    check_icrc: every ICRC must hold, which tshark does not look at; not for captures at a UDP socket, which guess the
    Identification of what was received.
    DisagreementError: with every field that differs, and every one that we have no value for.
    """
    capture = read_capture(path)
    report, malformed, problems, marked = Report(), [], [], Counter[str]()
    kind_of = {number: kind for command in capture.trace.commands for number, kind in kinds(command).items()}
    frames = {frame.number: frame for frame in dissect(path, ROCE)}
    for frame in frames.values():
        if frame.is_malformed or _worst_severity(frame) >= SEVERITY_WARNING:
            kind = kind_of.get(frame.number, "")
            marked[kind] += 1
            words = "; ".join(filter(None, [kind, *(text for _, text in frame.experts)]))
            malformed.append(f"frame {frame.number}: {words or 'malformed'}")
            problems += malformed[-1:] if not allow_malformed and kind not in MARKED else []
        packet = capture.packets.get(frame.number)
        if packet and not frame.is_malformed:
            report.compare(f"frame {frame.number}", *_packet_fields(frame, packet))
    for command in capture.trace.commands:
        _compare_command(report, command, frames, capture.packets)
    problems += report.disagreements
    problems += [f"{name}: printed {count} times, and we have no value" for name, count in report.unknown.items()]
    problems += _missed(capture, frames)
    if check_icrc:
        problems += [f"frame {number}: the ICRC is wrong" for number in capture.wrong_icrcs]
    if problems:
        raise DisagreementError("\n".join(problems))
    commands = Counter(command.name for command in capture.trace.commands)
    return Judgement(sum(report.agreed.values()), len(frames), commands, malformed, marked)


def _worst_severity(frame: Frame) -> int:
    # rxe leaves the UDP checksum to the ICRC, over IPv6 as well, which RFC 6935 allows to protocols that say so.
    return max((severity for severity, text in frame.experts if text != NO_CHECKSUM), default=0)


def _missed(capture: Capture, frames: dict[int, Frame]) -> list[str]:
    """Packets and commands that only one of us sees."""
    capsules = {command.frame for command in capture.trace.commands}
    # tshark 4.0 takes no capsule apart that comes in several packets, and takes retransmitted ones apart again.
    ours = {number for number in capsules if capture.packets[number].info.position is Position.ONLY}
    known = {_place_of(capture.packets[number]) for number in ours}
    theirs = {number for number, frame in frames.items() if frame.names & OPCODES}
    again = {number for number in theirs - ours if _place_of(capture.packets[number]) in known}
    return [
        *(f"frame {number}: RoCE for one of us only" for number in sorted(set(frames) ^ set(capture.packets))),
        *(f"frame {number}: an NVMe command for tshark only" for number in sorted(theirs - ours - again)),
        *(f"frame {number}: an NVMe command for us only" for number in sorted(ours - theirs)),
    ]


def _place_of(packet: RocePacket) -> tuple[int, int]:
    return packet.bth.dest_qp, packet.bth.psn


def _packet_fields(frame: Frame, packet: RocePacket) -> tuple[list[Field], Expected]:
    """What tshark prints of one packet by itself, payload included, and our values."""
    prefixes = ("infiniband.", "nvme-rdma.cm.", *PAYLOADS)
    found = [item for item in frame.fields if item.name.startswith(prefixes)]
    fields = [item for item in found if not item.name.startswith(GUESSES)]
    return fields, {**roce_fields(packet), **{name: [packet.payload] for name in PAYLOADS}}


def _compare_command(
    report: Report, command: TracedCommand, frames: dict[int, Frame], packets: dict[int, RocePacket]
) -> None:
    where = f"{command.name} in frame {command.frame}"
    report.compare(where, _nvme_fields(frames, [command.frame]), capsule_fields(command))
    if command.completion:
        report.compare(where, _nvme_fields(frames, [command.completion_frame]), completion_fields(command))
    if not any(frames[number].is_malformed for number in command.data_frames if number in frames):
        # tshark takes data that was sent again apart again.
        once = {packets[number].bth.psn: number for number in reversed(command.data_frames)}
        report.compare(where, _nvme_fields(frames, sorted(once.values())), data_fields(command))


def _nvme_fields(frames: dict[int, Frame], numbers: Iterable[int]) -> list[Field]:
    found = [item for number in numbers if number in frames for item in frames[number].fields]
    return [item for item in found if item.name.startswith("nvme.") and item.name not in PAYLOADS]


GUESSES = "infiniband.eoib."
"""tshark tries Ethernet over InfiniBand on the payload of any datagram."""
ROCE = "infiniband and not icmp and not icmpv6"
"""Not what a message quotes that tells of a port where nobody listens."""
NO_CHECKSUM = "Illegal checksum value (0)"
OPCODES = frozenset({"nvme.cmd.opc", "nvme.fabrics.cmd.opc"})
PAYLOADS = ("nvme.data", "nvme-rdma.unknown_data", "nvme-rdma.read_from_host_resp")
"""Fields that are the payload of one packet, whole."""
