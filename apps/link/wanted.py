"""What a command line of `baremetal link` says beside the two ends, in one value for both kinds of link."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transports.relay import Direction, DirectionConfig, Punctuality, Relay
from transports.relay.packet import RelayPacket
from transports.relay.sampling import FlowSamples


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """ways: there and back. Times in nanoseconds; the other names are those of the options."""

    ways: tuple[DirectionConfig, DirectionConfig]
    lateness_ns: int
    seed: int
    duration_ns: int | None
    is_realtime: bool | None
    capture: Path | None
    samples: Path | None
    sample_interval_ns: int
    as_json: bool
    ends_with_stdin: bool

    def relay(self) -> tuple[Relay, Direction, Direction]:
        """The relay, and its two directions."""
        relay = Relay(punctuality=Punctuality(self.lateness_ns))
        forward, back = (
            Direction(relay.timeline, way, seed=2 * self.seed + number) for number, way in enumerate(self.ways)
        )
        return relay, forward, back

    def sample(
        self,
        stack: contextlib.ExitStack,
        relay: Relay,
        directions: tuple[Direction, Direction],
        name_of: Callable[[RelayPacket], str],
    ) -> None:
        """Where samples of flows are wanted, take them, and write them when `stack` is left."""
        samples = self.samples
        if samples is not None:
            watching = FlowSamples(relay, self.sample_interval_ns, lambda packet, _: name_of(packet))
            stack.callback(lambda: samples.write_text(watching.as_csv()))
            watching.watch(*directions)
