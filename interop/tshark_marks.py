"""What tshark 4.0 calls malformed, or warns about, whoever sends it: a kind of message at a time, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from wire.nvme import FeaturesCommand, GetLogPage, IdentifyCommand
from wire.nvme.traced_command import TracedCommand

MARKED = {
    "GET_FEATURES 0x01 completion": "its dissector has one field fewer than it prints of Arbitration",
    "SET_FEATURES 0x01 command": "the same",
    "GET_LOG_PAGE 0x01 data": "it reads past the 64 bytes of an entry, unless a digest follows",
}
"""By kind; see `kinds`. `nvme-linux-marks` shows that each is marked between two Linux kernels, too."""


def kinds(command: TracedCommand) -> Iterator[tuple[int, str]]:
    """What each frame of a command is: `GET_LOG_PAGE 0x01 data`, with the frame's number."""
    name = command.name + _detail(command)
    yield command.frame, f"{name} command"
    yield from ((number, f"{name} data") for number in command.data_frames)
    yield command.completion_frame, f"{name} completion"


def _detail(command: TracedCommand) -> str:
    match command.name:
        case "GET_LOG_PAGE":
            return f" {GetLogPage.decode(command.capsule).lid:#04x}"
        case "IDENTIFY":
            return f" {IdentifyCommand.decode(command.capsule).cns:#04x}"
        case "GET_FEATURES" | "SET_FEATURES":
            return f" {FeaturesCommand.decode(command.capsule).fid:#04x}"
    return ""
