"""Counters are plain integer attributes, so that counting costs one addition.

A core declares its set under the names that its field knows:

    @dataclass(slots=True, eq=False)
    class RxeCounters(Counters):
        sent_pkts: int = 0
        rcvd_pkts: int = 0
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(slots=True, eq=False)
class Counters:
    """Base of every set of counters; a subclass is a slotted dataclass whose fields are all `int` and start at 0."""

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The names of the counters, in the order of their declaration."""
        return tuple(field.name for field in dataclasses.fields(cls))

    def snapshot(self) -> dict[str, int]:
        """All values at this moment, by name."""
        return {name: getattr(self, name) for name in self.names()}
