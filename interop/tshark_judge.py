"""Judge a capture by tshark: every RoCE, CM and NVMe field that it prints must be what our codecs decode."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from interop.captured import Capture, read_capture
from interop.comparison import Report
from interop.outcome import DisagreementError
from interop.pdml import SEVERITY_WARNING, Frame
from interop.roce_judge import DISPLAYED as ROCE
from interop.roce_judge import compare_roce
from interop.tcp_judge import DISPLAYED as TCP
from interop.tcp_judge import DISSECTED, compare_tcp
from interop.tshark import dissect
from interop.tshark_marks import MARKED, kinds


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
    capture, report = read_capture(path), Report()
    frames = {frame.number: frame for frame in dissect(path, f"({ROCE}) or {TCP}", DISSECTED)}
    problems, marked = _complaints(capture, frames, allow_malformed=allow_malformed)
    malformed = [line for lines in marked.values() for line in lines]
    problems += compare_roce(report, capture, {number: each for number, each in frames.items() if not each.is_tcp})
    problems += compare_tcp(report, capture, {number: each for number, each in frames.items() if each.is_tcp})
    problems += report.disagreements
    problems += [f"{name}: printed {count} times, and we have no value" for name, count in report.unknown.items()]
    if check_icrc:
        problems += [f"frame {number}: the ICRC is wrong" for number in capture.wrong_icrcs]
    if problems:
        raise DisagreementError("\n".join(problems))
    commands = Counter(command.name for command in capture.commands)
    found = Counter({kind: len(lines) for kind, lines in marked.items()})
    return Judgement(sum(report.agreed.values()), len(frames), commands, malformed, found)


def _complaints(
    capture: Capture, frames: dict[int, Frame], *, allow_malformed: bool
) -> tuple[list[str], dict[str, list[str]]]:
    """Lines about frames that tshark complains of: those that count as problems, and all, by kind of frame."""
    kind_of = defaultdict[int, list[str]](list)
    for command in capture.commands:
        for number, kind in kinds(command):
            kind_of[number].append(kind)
    problems, marked = [], defaultdict[str, list[str]](list)
    for frame in frames.values():
        if frame.is_malformed or _worst_severity(frame) >= SEVERITY_WARNING:
            found = kind_of[frame.number]
            kind = next((each for each in found if each in MARKED), ", ".join(found))
            words = "; ".join(filter(None, [kind, *(text for _, text in frame.experts)]))
            marked[kind].append(f"frame {frame.number}: {words or 'malformed'}")
            problems += [] if allow_malformed or kind in MARKED else marked[kind][-1:]
    return problems, marked


def _worst_severity(frame: Frame) -> int:
    # rxe leaves the UDP checksum to the ICRC, over IPv6 as well, which RFC 6935 allows to protocols that say so.
    return max((severity for severity, text in frame.experts if text != NO_CHECKSUM), default=0)


NO_CHECKSUM = "Illegal checksum value (0)"
