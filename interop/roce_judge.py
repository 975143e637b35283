"""Compare tshark's reading of RoCE packets, and of the NVMe commands that they carry, with ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from interop.captured import Capture
from interop.comparison import Expected, Report
from interop.nvme_data_fields import data_fields
from interop.nvme_fields import capsule_fields, completion_fields
from interop.pdml import Field, Frame
from interop.roce_fields import roce_fields
from wire.nvme.traced_command import TracedCommand
from wire.roce import Position, RocePacket

Frames = Mapping[int, Frame]

DISPLAYED = "infiniband and not icmp and not icmpv6"
"""Not what a message quotes that tells of a port where nobody listens."""


def compare_roce(report: Report, capture: Capture, frames: Frames) -> list[str]:
    """Compare every field of each packet and command; returns lines about what only one of us sees."""
    for number, frame in frames.items():
        packet = capture.packets.get(number)
        if packet and not frame.is_malformed:
            report.compare(f"frame {number}", *_packet_fields(frame, packet))
    for command in capture.rdma.commands:
        _compare_command(report, command, frames, capture.packets)
    return _missed(capture, frames)


def _missed(capture: Capture, frames: Frames) -> list[str]:
    capsules = {command.frame for command in capture.rdma.commands}
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
    report: Report, command: TracedCommand, frames: Frames, packets: Mapping[int, RocePacket]
) -> None:
    where = f"{command.name} in frame {command.frame}"
    report.compare(where, _nvme_fields(frames, [command.frame]), capsule_fields(command))
    if command.completion:
        report.compare(where, _nvme_fields(frames, [command.completion_frame]), completion_fields(command))
    if not any(frames[number].is_malformed for number in command.data_frames if number in frames):
        # tshark takes data that was sent again apart again.
        once = {packets[number].bth.psn: number for number in reversed(command.data_frames)}
        report.compare(where, _nvme_fields(frames, sorted(once.values())), data_fields(command))


def _nvme_fields(frames: Frames, numbers: Iterable[int]) -> list[Field]:
    found = [item for number in numbers if number in frames for item in frames[number].fields]
    return [item for item in found if item.name.startswith("nvme.") and item.name not in PAYLOADS]


GUESSES = "infiniband.eoib."
"""tshark tries Ethernet over InfiniBand on the payload of any datagram."""
OPCODES = frozenset({"nvme.cmd.opc", "nvme.fabrics.cmd.opc"})
PAYLOADS = ("nvme.data", "nvme-rdma.unknown_data", "nvme-rdma.read_from_host_resp")
"""Fields that are the payload of one packet, whole."""
