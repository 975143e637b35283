"""The pcapng blocks that `pcapng` reads and writes, as Construct: what its hand-written codec is tested against.

No fixed codec can be derived, since bodies are variable and either byte order may come; hence the name does not end in
`_layout`.

Follows draft-ietf-opsawg-pcapng (3.1, 3.5, 4.1 to 4.4). Left out: blocks without packets, which readers skip.
"""

from __future__ import annotations

from typing import Any

import construct as c


def block(order: str) -> Any:
    """One block in byte order "big" or "little": `kind`, `length`, `body` by kind, and `length` again."""
    int16, int32, int64 = (c.Int16ub, c.Int32ub, c.Int64ub) if order == "big" else (c.Int16ul, c.Int32ul, c.Int64ul)
    option = c.Struct(
        "code" / int16,
        "length" / c.Rebuild(int16, c.len_(c.this.value)),
        "value" / c.Aligned(4, c.Bytes(c.this.length)),
    )
    options = c.GreedyRange(option)
    section_header = c.Struct(
        "magic" / c.Const(0x1A2B3C4D, int32),
        "major" / c.Const(1, int16),
        "minor" / int16,
        "section_length" / int64,
        "options" / options,
    )
    interface_description = c.Struct(
        "link_type" / int16,
        c.Padding(2),
        "snap_length" / int32,
        "options" / options,
    )
    enhanced_packet = c.Struct(
        "interface" / int32,
        "timestamp_high" / int32,
        "timestamp_low" / int32,
        "captured_length" / int32,
        "original_length" / int32,
        "data" / c.Aligned(4, c.Bytes(c.this.captured_length)),
        "options" / options,
    )
    simple_packet = c.Struct("original_length" / int32, "data" / c.GreedyBytes)
    bodies = {0x0A0D0D0A: section_header, 1: interface_description, 3: simple_packet, 6: enhanced_packet}
    return c.Struct(
        "kind" / int32,
        "length" / int32,
        "body" / c.FixedSized(c.this.length - 12, c.Switch(c.this.kind, bodies, c.GreedyBytes)),
        "length_again" / int32,
        c.Check(c.this.length == c.this.length_again),
    )
