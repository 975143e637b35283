"""What tables and metrics are made of: a run that is over, in virtual time or in real time.

`World` is one; a runner that measures in another way makes one of its own, and gets the same tables and metrics.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Protocol

from stacks.lab.counts import FlowCounts
from stacks.lab.experiment.values import Experiment, FlowConfig, TrafficConfig
from stacks.lab.network.line import Way
from stacks.lab.network.seen import SeenLink


class SeenFlow(Protocol):
    """A flow; see `FlowRun` for what is what. goodput_bytes, counts: of its whole life;
    warm_bytes, warm_counts: before the warm-up ended.
    """

    number: int
    name: str
    config: FlowConfig
    way: Way
    start_ns: int
    completed_ns: int
    delays: array[int] | None
    warm_bytes: int
    warm_counts: FlowCounts

    @property
    def empty_delay_ns(self) -> int:
        """What one full packet takes to the receiver where nothing else is on the way."""

    @property
    def goodput_bytes(self) -> int:
        """As above."""

    @property
    def counts(self) -> FlowCounts:
        """As above."""


class SeenTraffic(Protocol):
    """Packets that no controller governs."""

    config: TrafficConfig
    way: Way
    sent_packets: int
    arrived_packets: int
    arrived_bytes: int


class SeenSamples(Protocol):
    """Time series; see `Samples`."""

    @property
    def series(self) -> Mapping[str, array[int]]:
        """Of flows."""

    @property
    def queues(self) -> Mapping[str, array[int]]:
        """Of links."""

    @property
    def states(self) -> Sequence[str]:
        """Of controllers, by number."""


class Seen(Protocol):
    """A run. links: those with a queue, in the order of their numbers in `queues`. events: packets through them."""

    @property
    def experiment(self) -> Experiment:
        """What ran."""

    @property
    def flows(self) -> Sequence[SeenFlow]:
        """By number."""

    @property
    def traffic(self) -> Sequence[SeenTraffic]:
        """That is no flow."""

    @property
    def samples(self) -> SeenSamples | None:
        """None where none were wanted."""

    @property
    def links(self) -> Sequence[SeenLink]:
        """As above."""

    @property
    def events(self) -> int:
        """As above."""
