"""Whether the peer is really at an address: one path's challenges and responses (RFC 9000 8.2).

    UNKNOWN, FAILED -- START --> CHALLENGED -- ANSWERED --> VALIDATED
                                     |  '--- ANSWERED_SMALL --> ADDRESS_KNOWN -- ANSWERED --> VALIDATED
                                     '------ EXPIRED ---------------> FAILED

A challenge in a datagram of less than 1200 bytes, as the amplification limit may have it, shows that the peer is there,
and not that the path carries QUIC: another one follows at full size (8.2.1).
"""

from __future__ import annotations

import enum
import random
from collections import deque

from stacks.quic.packet_writer import PacketWriter
from stacks.quic.randomness import random_bytes
from stacks.runtime import IGNORE, StateTable, Verdict
from wire.quic.frames import PathChallenge, PathResponse

MIN_DATAGRAM_BYTES = 1200


class ValidationState(enum.IntEnum):
    """UNKNOWN: nobody asked. CHALLENGED: we did. ADDRESS_KNOWN: the peer is there, full datagrams may not arrive.
    VALIDATED: both. FAILED: no answer in time.
    """

    UNKNOWN = 0
    CHALLENGED = 1
    ADDRESS_KNOWN = 2
    VALIDATED = 3
    FAILED = 4


class ValidationEvent(enum.IntEnum):
    """START: a validation begins. ANSWERED: to a challenge of full size. ANSWERED_SMALL: to another one. EXPIRED: the
    time is over. ABANDON: another path is used, this one does not matter any more.
    """

    START = 0
    ANSWERED = 1
    ANSWERED_SMALL = 2
    EXPIRED = 3
    ABANDON = 4


_S, _E = ValidationState, ValidationEvent
_ASKING = (_S.CHALLENGED, _S.ADDRESS_KNOWN)
_RESTING = (_S.UNKNOWN, _S.VALIDATED, _S.FAILED)

VALIDATION_STATES: StateTable[ValidationState, ValidationEvent] = StateTable(
    "QUIC path validation",
    ValidationState,
    events=ValidationEvent,
    entries={
        **{(state, _E.START): _S.CHALLENGED for state in _RESTING},
        **{(state, _E.START): IGNORE for state in _ASKING},
        **{(state, _E.ANSWERED): _S.VALIDATED for state in _ASKING},
        **{(state, _E.ANSWERED): IGNORE for state in _RESTING},
        (_S.CHALLENGED, _E.ANSWERED_SMALL): _S.ADDRESS_KNOWN,
        **{(state, _E.ANSWERED_SMALL): IGNORE for state in (_S.ADDRESS_KNOWN, *_RESTING)},
        **{(state, _E.EXPIRED): _S.FAILED for state in _ASKING},
        **{(state, _E.EXPIRED): IGNORE for state in _RESTING},
        **{(state, _E.ABANDON): _S.UNKNOWN for state in _ASKING},
        **{(state, _E.ABANDON): IGNORE for state in _RESTING},
    },
)


class Challenge:
    """One PATH_CHALLENGE that was sent. is_full: in a datagram of 1200 bytes or more. is_stale: of a validation that
    is over: an answer is no mistake, and says nothing.
    """

    __slots__ = ("data", "is_full", "is_stale")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.is_full = False
        self.is_stale = False


class PathValidation:
    """A `FrameSource` for PATH_CHALLENGE and PATH_RESPONSE of one path, neither of which is ever sent again (13.3).

    state: of the challenges. due_ns: when `handle_timeout` is due, None for never. responses: data of challenges that
    wait for their answers. challenges: the last that were sent; is_challenge_due: whether one is to be sent.
    """

    __slots__ = (
        "_interval_ns", "_retry_ns", "_rng", "_until_ns", "_written", "challenges", "due_ns", "has_frames",
        "is_challenge_due", "responses", "state",
    )  # fmt: skip

    def __init__(self, rng: random.Random) -> None:
        self.state = ValidationState.UNKNOWN
        self.has_frames = False
        self.due_ns: int | None = None
        self.challenges: list[Challenge] = []
        self.responses: deque[bytes] = deque()
        self._rng = rng
        self.is_challenge_due = False
        self._written: Challenge | None = None
        self._interval_ns = 0
        self._retry_ns = 0
        self._until_ns = 0

    @property
    def is_running(self) -> bool:
        """Whether an answer is waited for."""
        return self.due_ns is not None

    def start(self, now: int, *, pto_ns: int, timeout_ns: int) -> None:
        """Challenge the peer, again after `pto_ns` and twice as long, until `timeout_ns` are over (8.2.4, 9.4)."""
        if self._apply(ValidationEvent.START):
            for challenge in self.challenges:
                challenge.is_stale = True
            self._interval_ns = pto_ns
            self._until_ns = now + timeout_ns
            self._challenge(now)

    def respond(self, data: bytes) -> None:
        """Answer a challenge; of many that wait, the oldest are not (21.9)."""
        self.responses.append(data)
        if len(self.responses) > MAX_RESPONSES:
            self.responses.popleft()
        self.has_frames = True

    def answered(self, data: bytes, now: int) -> bool:
        """A PATH_RESPONSE came, on whatever path; whether it answers a challenge of this one (8.2.3)."""
        found = next((challenge for challenge in self.challenges if challenge.data == data), None)
        if found is None:
            return False
        if not found.is_stale and self._apply(
            ValidationEvent.ANSWERED if found.is_full else ValidationEvent.ANSWERED_SMALL
        ):
            self._stop()
            if self.state == ValidationState.ADDRESS_KNOWN:
                self._challenge(now)
        return True

    def abandon(self) -> None:
        """The path is not used: whether the peer is there does not matter any more."""
        if self._apply(ValidationEvent.ABANDON):
            self._stop()

    def handle_timeout(self, now: int) -> bool:
        """Challenge again what was not answered; False when the time is over: the path cannot be used."""
        if self.due_ns is None or now < self.due_ns:
            return True
        if now >= self._until_ns:
            self._apply(ValidationEvent.EXPIRED)
            self._stop()
            return False
        if now >= self._retry_ns:
            self._challenge(now)
        return True

    def write_frames(self, packet: PacketWriter, now: int) -> None:  # noqa: ARG002
        """As of `FrameSource`: one challenge a packet (8.2.1)."""
        while self.responses:
            if not packet.put(PathResponse(self.responses[0]).encode()):
                return
            self.responses.popleft()
        if self.is_challenge_due:
            data = random_bytes(self._rng, CHALLENGE_BYTES)
            if not packet.put(PathChallenge(data).encode()):
                return
            self._written = Challenge(data)
            self.challenges.append(self._written)
            del self.challenges[:-MAX_CHALLENGES]
            self.is_challenge_due = False
        self.has_frames = False

    def left(self, datagram_bytes: int) -> None:
        """The datagram with the frames of the last `write_frames` has this size."""
        if self._written is not None:
            self._written.is_full = datagram_bytes >= MIN_DATAGRAM_BYTES
            self._written = None

    def _challenge(self, now: int) -> None:
        self.is_challenge_due = self.has_frames = True
        self._retry_ns = now + self._interval_ns
        self._interval_ns *= 2
        self.due_ns = min(self._retry_ns, self._until_ns)

    def _stop(self) -> None:
        self.is_challenge_due = False
        self.has_frames = bool(self.responses)
        self.due_ns = None

    def _apply(self, event: ValidationEvent) -> bool:
        outcome = VALIDATION_STATES.apply(self.state, event)
        if isinstance(outcome, Verdict):
            return False
        self.state = outcome
        return True


CHALLENGE_BYTES = 8
MAX_RESPONSES = 4
MAX_CHALLENGES = 8
