"""The packet whose frames are being handled: one object a connection, written anew for each."""

from __future__ import annotations

from stacks.quic.paths import Path


class ArrivedPacket:
    """level, number: which packet. path: that it came on. destination_cid: our connection ID that it names.
    ecn: the bits of its IP header. now: when it is handled. is_ack_eliciting, is_probing: of the frames so far
    (RFC 9002 2, RFC 9000 9.1). level_bit: 1 << level.
    """

    __slots__ = (
        "destination_cid", "ecn", "is_ack_eliciting", "is_probing", "level", "level_bit", "now", "number", "path",
    )  # fmt: skip

    def __init__(self) -> None:
        self.level = 0
        self.level_bit = 1
        self.number = 0
        self.path: Path
        self.destination_cid = b""
        self.ecn = 0
        self.now = 0
        self.is_ack_eliciting = False
        self.is_probing = True
