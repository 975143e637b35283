"""1-RTT keys and their updates: one phase for sending, up to three for receiving (RFC 9001 6).

    previous  packets from before the update that are late, for about three probe timeouts
    current
    next      derived in advance, so that a packet of the next phase takes no longer to open than another (6.3)

Header protection keeps its keys over updates, so the phase of a packet is known before it is decrypted.
"""

from __future__ import annotations

from collections.abc import Sequence

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.keys.opener import Opened, Opener, OpenPlace, Unmasked
from stacks.quic.keys.sealer import Sealer
from stacks.quic.keys.secrets import next_secret
from stacks.quic.keys.suites import Suite
from stacks.runtime.errors import LocalError


class OneRttKeys:
    """The 1-RTT keys of one connection.

    update_after: packets sent with one key before it is changed, 0 for at the cipher's limit alone.
    is_handshake_complete: before that nothing is opened (5.7). is_confirmed: before that nothing is updated (6).
    phase_bit: of the first byte of what is sent. updates: of the keys, by either end.
    """

    __slots__ = (
        "_acked_number", "_current", "_failed", "_first_received", "_first_sent", "_next", "_previous",
        "_previous_until_ns", "_receive_phase", "_sealer", "_update_after", "_version", "is_confirmed",
        "is_handshake_complete", "phase_bit", "updates",
    )  # fmt: skip

    def __init__(self, version: int, *, update_after: int = 0) -> None:
        self.is_handshake_complete = False
        self.is_confirmed = False
        self.phase_bit = 0
        self.updates = 0
        self._version = version
        self._update_after = update_after
        self._sealer: Sealer | None = None
        self._current: Opener | None = None
        self._previous: Opener | None = None
        self._next: Opener | None = None
        self._previous_until_ns = 0
        self._receive_phase = 0
        self._failed = 0
        self._first_sent = self._first_received = NEVER
        self._acked_number = -1

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
        """Whether we may change keys: confirmed, and a packet of this phase was acknowledged (6.1)."""
        return self.is_confirmed and self._acked_number >= self._first_sent

    def install(self, suite: Suite, secret: bytes, *, is_sending: bool) -> None:
        """The first keys of one direction."""
        if is_sending:
            self._sealer = Sealer(suite, secret, self._version)
        else:
            self._current = Opener(suite, secret, self._version)
            self._next = self._following(self._current)

    def acked(self, number: int) -> None:
        """The peer acknowledged packet `number` of ours."""
        if number > self._acked_number:
            self._acked_number = number

    # Out

    def sealer_for(self, number: int, now: int) -> Sealer:
        """The keys for packet `number`; changes them when it is time to.

        QuicError AEAD_LIMIT_REACHED when no more may be sent with these keys, and they cannot be changed.
        """
        sealer = self._sealer
        assert sealer is not None
        if (self._update_after and sealer.sealed >= self._update_after) or sealer.sealed >= sealer.limit - MARGIN:
            if self.can_update:
                self.update(now)
                sealer = self._sealer
                assert sealer is not None
            elif sealer.sealed >= sealer.limit:
                raise QuicError(TransportErrorCode.AEAD_LIMIT_REACHED, "too many packets with one key")
        if self._first_sent == NEVER:
            self._first_sent = number
        return sealer

    def update(self, now: int) -> None:
        """Change to the next keys (6.1); LocalError where that is not allowed yet."""
        if not self.can_update:
            raise LocalError("keys may change when the handshake is confirmed and a packet of these was acknowledged")
        self._advance_sending()
        self._advance_receiving(now + PREVIOUS_NS)

    # In

    def open_burst(
        self, view: memoryview, packets: Sequence[OpenPlace], largest: int, now: int, pto_ns: int
    ) -> list[Opened | None]:
        """As `Opener.open_burst`, in any phase.

        pto_ns: the probe timeout, three of which old keys are kept for. QuicError KEY_UPDATE_ERROR where the peer broke
        the rules of updates, AEAD_LIMIT_REACHED after too many forgeries.
        """
        current = self._current
        assert current is not None
        if self._previous is not None and now >= self._previous_until_ns:
            self._previous = None
        opened: list[Opened | None] = []
        for place, mask in zip(packets, current.masks_of(view, packets), strict=True):
            if mask is None:
                opened.append(None)
                continue
            packet = current.unmask(view, place, mask, largest)
            if packet[1] & PHASE_BIT == self._receive_phase:
                payload = self._current.decrypt(view, place[0], packet)  # type: ignore[union-attr]
                if payload is not None and packet[0] < self._first_received:
                    self._first_received = packet[0]
            else:
                payload = self._open_other_phase(view, place[0], packet, now + 3 * pto_ns)
            if payload is None:
                self._failed += 1
                if self._failed > current.limit:
                    raise QuicError(TransportErrorCode.AEAD_LIMIT_REACHED, "too many packets could not be opened")
                opened.append(None)
                continue
            number = packet[0]
            if number > largest:
                largest = number
            opened.append((number, packet[1], payload))
        return opened

    def _open_other_phase(
        self, view: memoryview, start: int, packet: Unmasked, previous_until_ns: int
    ) -> memoryview | None:
        """A packet of the phase before (late), or of the next one: the peer changed its keys."""
        if packet[0] < self._first_received and self._previous is not None:
            return self._previous.decrypt(view, start, packet)
        assert self._next is not None
        payload = self._next.decrypt(view, start, packet)
        if payload is None:
            return None
        if packet[0] < self._first_received != NEVER:
            raise QuicError(TransportErrorCode.KEY_UPDATE_ERROR, "an older packet with newer keys")
        if not self.is_confirmed and self.updates:
            raise QuicError(TransportErrorCode.KEY_UPDATE_ERROR, "keys changed before the handshake was confirmed")
        is_answer = self._receive_phase != self.phase_bit
        if not is_answer and self.updates and self._acked_number < self._first_sent:
            # 6.2: the peer may not change again before it has seen that we followed.
            raise QuicError(TransportErrorCode.KEY_UPDATE_ERROR, "keys changed again without waiting")
        self._advance_receiving(previous_until_ns)
        self._first_received = packet[0]
        if not is_answer:
            self._advance_sending()
        return payload

    def _advance_receiving(self, previous_until_ns: int) -> None:
        assert self._next is not None
        self._previous, self._current = self._current, self._next
        self._previous_until_ns = previous_until_ns
        self._receive_phase ^= PHASE_BIT
        self._next = self._following(self._current)
        self._first_received = NEVER

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
MARGIN = 1 << 16
"""Packets before the cipher's limit from which on keys are changed."""
PREVIOUS_NS = 3_000_000_000
"""How long keys that we changed ourselves open what the peer still sends with its own old ones, at most."""
