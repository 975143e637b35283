"""Proportional Rate Reduction: how much leaves for what arrives while a window is being reduced (RFC 6937, RFC 9937).

    start(flight)        a recovery begins: RecoverFS is what was in flight before the acknowledgement that began it
    sent_bytes += n      whatever leaves meanwhile (prr_out)
    window_bytes(...)    of each acknowledgement: the window, which is what is in flight and what may leave now

While more is in flight than ssthresh, ssthresh/RecoverFS of what arrives leaves, so that the reduction takes a round
trip and no burst or silence marks it. Below ssthresh as much leaves as arrives (the conservative bound), and a packet
more where the acknowledgement is a safe one (the slow-start bound); never more than what brings the flight to ssthresh.
The first packet of a recovery, the fast retransmit, leaves in any case.

RFC 9937 calls an acknowledgement safe when it advances SND.UNA and shows no further loss. A stack that acknowledges
packet numbers has no SND.UNA, so our controllers take the second half alone, which is RFC 6937's slow-start bound.
"""

from __future__ import annotations


class Prr:
    """One flow's reductions, one after the other.

    packet_bytes: of a full packet. recover_fs_bytes: in flight when the reduction began. delivered_bytes, sent_bytes:
    since then (prr_delivered, prr_out). is_loss: something has to be sent again; not for a reduction since a mark.
    """

    __slots__ = ("delivered_bytes", "is_loss", "packet_bytes", "recover_fs_bytes", "sent_bytes")

    def __init__(self, packet_bytes: int) -> None:
        self.packet_bytes = packet_bytes
        self.recover_fs_bytes = 1
        self.delivered_bytes = 0
        self.sent_bytes = 0
        self.is_loss = True

    def start(self, flight_bytes: int, *, is_loss: bool = True) -> None:
        """A reduction begins, with so much in flight, lost packets included."""
        self.is_loss = is_loss
        self.recover_fs_bytes = max(flight_bytes, 1)
        self.delivered_bytes = self.sent_bytes = 0

    def window_bytes(self, delivered_bytes: int, inflight_bytes: int, ssthresh_bytes: int, *, is_safe: bool) -> int:
        """The window after an acknowledgement of `delivered_bytes` that leaves `inflight_bytes`, lost ones excluded."""
        self.delivered_bytes = total = self.delivered_bytes + delivered_bytes
        if inflight_bytes > ssthresh_bytes:
            count = -(-total * ssthresh_bytes // self.recover_fs_bytes) - self.sent_bytes
        else:
            count = max(total - self.sent_bytes, delivered_bytes)
            if is_safe:
                count += self.packet_bytes
            count = min(ssthresh_bytes - inflight_bytes, count)
        if count < self.packet_bytes and self.is_loss and not self.sent_bytes:
            count = self.packet_bytes  # RFC 9937 6: the fast retransmit goes out whatever the proportion says
        elif count < 0:
            count = 0
        return inflight_bytes + count
