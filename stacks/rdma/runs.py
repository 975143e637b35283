"""Packets that came together and are alike, as shortcuts look at them."""

from __future__ import annotations

from stacks.rdma.slices import Slices
from wire.roce.flow_icrc import BTH_BYTES, ICRC_BYTES


class Run:
    """Packets of equal size, back to back, whose ICRCs are right.

    words: three words of BTH for each; word0: the first. view: the packets. size: bytes of each. count: how many.
    slices: what makes views of their parts.
    """

    __slots__ = ("_slices", "count", "size", "view", "word0", "words")

    def __init__(self, words: tuple[int, ...], view: memoryview, size: int, count: int, slices: Slices) -> None:
        self._slices = slices
        self.words = words
        self.word0 = words[0]
        self.view = view
        self.size = size
        self.count = count

    @property
    def payload_bytes(self) -> int:
        """Bytes between BTH and ICRC in each packet, without padding, if all have the flags of the first."""
        return self.size - BTH_BYTES - ICRC_BYTES - (self.word0 >> 20 & 3)

    def is_uniform(self, expected_psn: int, ack_bits: int) -> bool:
        """Whether opcode and flags are all the same, PSNs count up from `expected_psn`, and AckReq is `ack_bits`."""
        first, count, words = expected_psn & 0xFFFFFF | ack_bits, self.count, self.words
        if count == 1:
            return words[2] == first
        return (
            (first & 0xFFFFFF) + count <= 0x1000000
            and words[0::3] == (self.word0,) * count
            and words[2::3] == tuple(range(first, first + count))
        )

    def payloads(self, header_bytes: int = 0) -> list[memoryview]:
        """Each packet's payload, behind `header_bytes` of extended headers, and perhaps more views behind them."""
        length = self.payload_bytes - header_bytes
        return self._slices.part(self.view, self.size, BTH_BYTES + header_bytes, length)
