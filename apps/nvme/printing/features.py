"""`get-feature`."""

from __future__ import annotations

from collections.abc import Iterator

from apps.nvme.printing.names import FEATURES


def feature_lines(fid: int, select: int, value: int, data: bytes) -> Iterator[str]:
    """What Get Features answered: a line, and what is beside it."""
    # C's %#0*x: nvme-cli gives a 0, which has no prefix, two places less.
    words = f"{value:#010x}" if value else "0" * 8
    number = f"{fid:#04x}" if fid else "00"
    yield f"get-feature:{number} ({FEATURES.get(fid, 'Unknown')}), {SELECTS[select]} value:{words}"
    if SELECTS[select] == SUPPORTED:
        yield from (f"  Feature is {what}" for bit, what in enumerate(CAPABILITIES) if value >> bit & 1)
    elif data:
        yield from dump(data)


def dump(data: bytes) -> Iterator[str]:
    """Bytes in hexadecimal, 16 a line, with what they are as ASCII behind."""
    yield "     " + "".join(f"{column:3x}" for column in range(16))
    for at in range(0, len(data), 16):
        row = data[at : at + 16]
        shown = "".join(chr(octet) if 0x21 <= octet <= 0x7E else "." for octet in row)
        # nvme-cli puts one space more into a row that is not full.
        gap = " " + "   " * (16 - len(row)) if len(row) < 16 else ""
        yield f"{at:04x}:" + "".join(f" {octet:02x}" for octet in row) + gap + f' "{shown}"'


SUPPORTED = "Supported capabilities"
SELECTS = ("Current", "Default", "Saved", SUPPORTED)
CAPABILITIES = ("saveable", "per-namespace", "changeable")
