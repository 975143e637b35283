"""1-RTT keys and their updates: one phase for sending, up to three for receiving (RFC 9001 6).

    previous  late packets from before the update; until three probe timeouts after the first packet of the current one
    current
    next      derived in advance, so that a packet of the next phase takes no longer to open than another (6.3)

Header protection keeps its keys over updates, so the phase bit of a packet is known before it is decrypted; which of
previous and next it means, its number says (6.5).
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.keys.opener import Opened, Opener, OpenPlace, Unmasked
from stacks.quic.keys.packet_views import PacketViews
from stacks.quic.keys.sealer import Sealer
from stacks.quic.keys.secrets import next_secret
from stacks.quic.keys.suites import Suite
from stacks.runtime.errors import LocalError


class OneRttKeys:
    """The 1-RTT keys of one connection.

    update_after: packets sent with one key before it is changed, 0 for at the cipher's limit alone.
    is_handshake_complete: before that nothing is opened (5.7). is_confirmed: before that we change no keys (6.1).
    phase_bit: of the first byte of what is sent. updates: of the keys, by either end; own_updates: that we began.
    failed: packets that could not be opened, with any key.
    """

    __slots__ = (
        "_acked_number", "_current", "_first_sent", "_lowest_received", "_next", "_previous", "_previous_until_ns",
        "_receive_phase", "_sealer", "_settled_ns", "_update_after", "_version", "failed", "is_confirmed",
        "is_handshake_complete", "own_updates", "phase_bit", "updates",
    )  # fmt: skip

    def __init__(self, version: int, *, update_after: int = 0) -> None:
        self.is_handshake_complete = False
        self.is_confirmed = False
        self.phase_bit = 0
        self.updates = self.own_updates = 0
        self.failed = 0
        self._version = version
        self._update_after = update_after
        self._sealer: Sealer | None = None
        self._current: Opener | None = None
        self._previous: Opener | None = None
        self._next: Opener | None = None
        self._previous_until_ns = NEVER
        self._receive_phase = 0
        self._first_sent = self._lowest_received = NEVER
        self._acked_number = -1
        self._settled_ns = 0

    @property
    def can_seal(self) -> bool:
        """Whether there are keys for sending."""
        return self._sealer is not None

    @property
    def can_open(self) -> bool:
        """Whether packets may be opened now."""
        return self._current is not None and self.is_handshake_complete

    @property
    def can_update(self) -> bool:
        """Whether we may change keys: the handshake is confirmed, and since the last change a packet of ours was
        acknowledged and one of the peer's came with the new keys (6.1).
        """
        if not self.is_confirmed or self._sealer is None or self._next is None:
            return False
        return not self.updates or (self._acked_number >= self._first_sent and self._lowest_received != NEVER)

    def install(self, suite: Suite, secret: bytes, *, is_sending: bool) -> None:
        """The first keys of one direction."""
        if is_sending:
            self._sealer = Sealer(suite, secret, self._version)
        else:
            self._current = Opener(suite, secret, self._version)
            self._next = self._following(self._current)

    def acked(self, number: int, carrier: int = 1 << 62) -> None:
        """The peer acknowledged packet `number` of ours, the largest of an ACK frame, in its packet `carrier`.

        QuicError KEY_UPDATE_ERROR where it did so with older keys than it had seen (6.2).
        """
        if number <= self._acked_number:
            return
        if self.updates and number >= self._first_sent and carrier < self._lowest_received:
            raise QuicError(TransportErrorCode.KEY_UPDATE_ERROR, "a packet was acknowledged with keys before its own")
        self._acked_number = number

    # Out

    def sealer_for(self, number: int, now: int) -> Sealer:
        """The keys for packet `number`; changes them when it is time to.

        QuicError AEAD_LIMIT_REACHED when no more may be sent with these keys, and they cannot be changed (6.6).
        """
        sealer = self._sealer
        assert sealer is not None
        if sealer.sealed >= sealer.limit - EARLY or (
            self._update_after and sealer.sealed >= self._update_after and now >= self._settled_ns
        ):
            if self.can_update:
                self._change(now)
                sealer = self._sealer
                assert sealer is not None
            elif sealer.sealed >= sealer.limit - RESERVE:
                raise QuicError(TransportErrorCode.AEAD_LIMIT_REACHED, "too many packets with one key")
        if self._first_sent > number:
            self._first_sent = number
        return sealer

    @property
    def last_sealer(self) -> Sealer:
        """The present keys, for CONNECTION_CLOSE: some packets are kept in reserve for that."""
        assert self._sealer is not None
        return self._sealer

    def update(self, now: int) -> None:
        """Change to the next keys (6.1); LocalError where that is not allowed yet."""
        if not self.can_update:
            raise LocalError("keys may change once the handshake is confirmed and the peer followed the last change")
        self._change(now)

    # In

    def open_burst(
        self, view: memoryview, packets: Sequence[OpenPlace], largest: int, now: int, pto_ns: int
    ) -> list[Opened | None]:
        """As `Opener.open_burst`, in any phase.

        pto_ns: the probe timeout, three of which old keys are kept for. QuicError KEY_UPDATE_ERROR where the peer broke
        the rules of updates, AEAD_LIMIT_REACHED after too many forgeries.
        """
        opener = self._current
        assert opener is not None
        if now >= self._previous_until_ns:
            self._previous, self._previous_until_ns = None, NEVER
        opened: list[Opened | None] = []
        run = opener.start_run(view, packets)
        while True:
            done, failed, lowest = len(opened), opener.failed, self._lowest_received
            largest, self._lowest_received, other = opener.open_run(
                view, run, opened, largest, lowest, PHASE_BIT, self._receive_phase
            )
            if opener.failed != failed:
                self._count_failed(opener.failed - failed, opener.limit)
            if lowest == NEVER and len(opened) > done:
                self._first_of_phase(opened[done:], now + 3 * pto_ns)
            if other is None:
                return opened
            payload = self._open_other_phase(view, other, largest, now + 3 * pto_ns)
            if payload is None:
                self._count_failed(1, opener.limit)
                opened.append(None)
            else:
                largest = max(largest, other[1])
                opened.append((other[1], other[2], payload))
            opener = self._current
            assert opener is not None

    def open_views(self, views: PacketViews, end: int, largest: int, now: int, pto_ns: int) -> list[Opened | None]:
        """As `open_burst` with all packets of `views` up to offset `end`, where the last may be shorter."""
        opener, step, buffer = self._current, views.step, views.buffer
        assert opener is not None
        opened: list[Opened | None] = []
        failed = opener.failed
        largest = opener.open_plain(views, end // step, opened, largest, PHASE_BIT, self._receive_phase)
        if opener.failed != failed:
            self._count_failed(1, opener.limit)
        if opened and self._lowest_received == NEVER:
            self._first_of_phase(opened, now + 3 * pto_ns)
        start = len(opened) * step
        if start < end:
            number_offset = views.number_offset
            rest = [(at, at + number_offset, min(at + step, end)) for at in range(start, end, step)]
            opened += self.open_burst(buffer, rest, largest, now, pto_ns)
        return opened

    def _first_of_phase(self, opened: Sequence[Opened | None], until_ns: int) -> None:
        """The first packets of the current phase came: from now on those of the one before are late (6.5)."""
        numbers = [packet[0] for packet in opened if packet is not None]
        if numbers:
            self._lowest_received = min(numbers)
            if self._previous is not None:
                self._previous_until_ns = self._settled_ns = until_ns

    def _open_other_phase(
        self, view: memoryview, packet: Unmasked, largest: int, until_ns: int
    ) -> memoryview | None:
        """A packet of the phase before, which is late, or of the next one: then the peer has changed its keys."""
        start, number, _, _, end = packet
        assert self._next is not None
        if self._previous is not None:
            if number < self._lowest_received:
                return self._previous.decrypt(view, packet)
            copy = bytes(view[start:end])  # a failed attempt spoils what is in place
            payload = self._next.decrypt(view, packet)
            if payload is None:
                view[start:end] = copy
                if self._previous.decrypt(view, packet) is not None:
                    raise QuicError(TransportErrorCode.KEY_UPDATE_ERROR, "older keys for a newer packet")
                return None
        else:
            payload = self._next.decrypt(view, packet)
            if payload is None:
                return None
        self._follow(number, largest, until_ns)
        return payload

    def _follow(self, number: int, largest: int, until_ns: int) -> None:
        """The peer has changed its keys with packet `number`, so we do (6.2)."""
        if number < largest and self._lowest_received != NEVER:
            raise QuicError(TransportErrorCode.KEY_UPDATE_ERROR, "newer keys for an older packet")
        if self.updates and self._first_sent == NEVER:
            raise QuicError(TransportErrorCode.KEY_UPDATE_ERROR, "keys changed again without waiting for an answer")
        self._advance_receiving()
        self._lowest_received = number
        self._previous_until_ns = self._settled_ns = until_ns
        self._advance_sending()

    def _count_failed(self, failed: int, limit: int) -> None:
        self.failed += failed
        if self.failed > limit:
            raise QuicError(TransportErrorCode.AEAD_LIMIT_REACHED, "too many packets could not be opened")

    # Both

    def _change(self, now: int) -> None:
        self._advance_sending()
        self._advance_receiving()
        self._settled_ns = now
        self.own_updates += 1

    def _advance_receiving(self) -> None:
        """The former keys stay until the peer was heard with new ones (6.1), and then for a while."""
        assert self._next is not None
        self._previous, self._current = self._current, self._next
        self._previous_until_ns = NEVER
        self._receive_phase ^= PHASE_BIT
        self._next = self._following(self._current)
        self._lowest_received = NEVER

    def _advance_sending(self) -> None:
        sealer = self._sealer
        assert sealer is not None
        secret = next_secret(sealer.suite, sealer.secret, self._version)
        self._sealer = Sealer(sealer.suite, secret, self._version, like=sealer)
        self.phase_bit ^= PHASE_BIT
        self._first_sent = NEVER
        self.updates += 1

    def _following(self, opener: Opener) -> Opener:
        secret = next_secret(opener.suite, opener.secret, self._version)
        return Opener(opener.suite, secret, self._version, like=opener)


PHASE_BIT = 0x04
NEVER = 1 << 62
EARLY = 1 << 16
"""Packets before the cipher's limit from which on keys are changed."""
RESERVE = 1 << 10
"""Packets that may have been given these keys and are not counted yet: bursts are counted when they are sealed."""
