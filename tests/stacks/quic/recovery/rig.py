"""A recovery driven by hand: packets out, ACKs in, and what a controller and the frames' owners hear."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from stacks.congestion import Ack, Controller, Flow, Loss
from stacks.quic.configuration import Configuration
from stacks.quic.levels import SPACE_APPLICATION
from stacks.quic.recovery import PathCongestion, Recovery, SentPacket
from tests.stacks.quic.recovery.oracle import NoSkips
from wire.quic.ack_frames import EcnCounts
from wire.quic.parameters import TransportParameters

MS, SECOND = 1_000_000, 1_000_000_000
SIZE = 1200


class Told(Controller):
    """A controller without limits that writes down what it is told."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.said: list[str] = []
        self.losses: list[Loss] = []
        self.lost_numbers: list[int] = []
        self.acks: list[Ack] = []

    def handle_ack(self, ack: Ack, now: int) -> None:
        self.said.append("ack")
        self.acks.append(ack)

    def handle_loss(self, loss: Loss, now: int) -> None:
        self.said.append("mark" if loss.is_mark else "persistent" if loss.is_persistent else "loss")
        self.losses.append(loss)

    def handle_lost_packet(self, packet: object, now: int) -> None:
        self.said.append("lost packet")
        self.lost_numbers.append(packet.number)  # type: ignore[attr-defined]

    def handle_recovered(self, now: int) -> None:
        self.said.append("recovered")

    def handle_spurious_loss(self, now: int) -> None:
        self.said.append("spurious")

    def hear(self) -> list[str]:
        """What was said since the last time."""
        said, self.said = self.said, []
        return said


class Frame:
    """What a concern remembers of a frame."""

    def __init__(self) -> None:
        self.fates: list[str] = []

    def acked(self, now: int) -> None:
        self.fates.append("acked")

    def lost(self, now: int) -> None:
        self.fates.append("lost")


class Rig:
    """One recovery on one path. frames: of each packet by space and number."""

    def __init__(
        self,
        *,
        is_client: bool = False,
        is_confirmed: bool = True,
        has_ecn: bool = False,
        max_ack_delay_ms: int = 25,
        skips: bool = False,
        controller: Callable[[Flow], Controller] = Told,
    ) -> None:
        self.configuration = Configuration(controller=controller, has_ecn=has_ecn)
        self.path = PathCongestion(self.configuration, random.Random(1), now=0)
        self.recovery = Recovery(
            self.path, is_client=is_client, rng=random.Random(1) if skips else NoSkips(), now=0
        )
        parameters = TransportParameters(ack_delay_exponent=0, max_ack_delay_ms=max_ack_delay_ms)
        self.recovery.apply_peer_parameters(parameters)
        if is_confirmed:
            self.recovery.handshake_confirmed(0)
        self.frames: dict[tuple[int, int], Frame] = {}

    @property
    def controller(self) -> Told:
        assert isinstance(self.path.controller, Told)
        return self.path.controller

    def send(
        self,
        now: int,
        count: int = 1,
        *,
        space: int = SPACE_APPLICATION,
        path: PathCongestion | None = None,
        is_ack_eliciting: bool = True,
        is_in_flight: bool = True,
        is_mtu_probe: bool = False,
    ) -> int:
        """The number of the last of `count` packets."""
        number = -1
        for _ in range(count):
            number = self.recovery.next_number(space)
            frame = self.frames[space, number] = Frame()
            congestion = path or self.path
            packet = SentPacket(
                space, number, SIZE, (frame,), congestion,
                is_ack_eliciting=is_ack_eliciting, is_in_flight=is_in_flight,
                ecn=congestion.ecn if is_in_flight else 0, is_mtu_probe=is_mtu_probe,
            )  # fmt: skip
            self.recovery.sent(packet, now)
        return number

    def ack(
        self,
        now: int,
        *ranges: tuple[int, int] | int,
        space: int = SPACE_APPLICATION,
        delay_us: int = 0,
        ecn: EcnCounts | None = None,
    ) -> int:
        """Ranges, newest first; a number is a range of one."""
        spans = [(one, one) if isinstance(one, int) else one for one in ranges]
        return self.recovery.handle_ack(space, spans, delay_us, ecn, now)

    def lost(self, space: int = SPACE_APPLICATION) -> list[int]:
        """Numbers whose frames were told to be lost."""
        return [number for (at, number), frame in self.frames.items() if at == space and "lost" in frame.fates]

    def acked(self, space: int = SPACE_APPLICATION) -> list[int]:
        return [number for (at, number), frame in self.frames.items() if at == space and "acked" in frame.fates]


def spans(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of an ACK that has these numbers."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers), reverse=True):
        if ranges and ranges[-1][0] == number + 1:
            ranges[-1] = (number, ranges[-1][1])
        else:
            ranges.append((number, number))
    return ranges
