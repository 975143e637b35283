"""What a host has set with Set Features, from one Controller Level Reset to the next.

Features whose values live elsewhere are not here: keep-alive and events belong to the controller, and those of a
namespace, which no reset of one controller changes, to the namespace.
"""

from __future__ import annotations

from stacks.nvme.target.controller_kind import IO_QUEUES_MAX
from wire.nvme.features_codec import HostBehavior, Timestamp
from wire.nvme.opcodes import FeatureId, ThresholdType


class FeatureValues:
    """The values of one controller.

    numbers: of features that are one number, by FID. thresholds: temperatures in kelvin at which a warning begins.
    behavior: what the host says that it can take; it changes nothing here.
    """

    def __init__(self) -> None:
        self.numbers = dict(NUMBERS)
        self.thresholds = dict(THRESHOLDS)
        self.behavior = HostBehavior()
        self._set_to_ms = self._set_at_ns = 0
        self._origin = SINCE_RESET

    def reset(self, now: int) -> None:
        """Everything is as in the beginning; the timestamp begins again at 0."""
        self.numbers.update(NUMBERS)
        self.thresholds.update(THRESHOLDS)
        self.behavior = HostBehavior()
        self._set_to_ms, self._set_at_ns, self._origin = 0, now, SINCE_RESET

    @property
    def has_write_cache(self) -> bool:
        """Whether the host left the volatile write cache on."""
        return bool(self.numbers[FeatureId.VOLATILE_WRITE_CACHE.value])

    def set_timestamp(self, milliseconds: int, now: int) -> None:
        """The host says what time it is."""
        self._set_to_ms, self._set_at_ns, self._origin = milliseconds, now, SET_BY_HOST

    def timestamp(self, now: int) -> Timestamp:
        """What time it is by that, or the time since the reset (NVMe Base 2.0 5.27.1.13)."""
        milliseconds = self._set_to_ms + (now - self._set_at_ns) // 1_000_000
        return Timestamp(timestamp=milliseconds % (1 << 48), origin=self._origin)


COMPOSITE_KELVIN = 313
"""The temperature, of which there is no telling: plausible, and always the same."""
WARNING_KELVIN = 343

SINCE_RESET, SET_BY_HOST = 0, 1
"""Origin of a timestamp."""

NUMBERS: dict[int, int] = {
    FeatureId.ARBITRATION.value: 0,
    FeatureId.POWER_MANAGEMENT.value: 0,
    FeatureId.VOLATILE_WRITE_CACHE.value: 1,
    FeatureId.NUMBER_OF_QUEUES.value: (IO_QUEUES_MAX - 1) << 16 | (IO_QUEUES_MAX - 1),
    FeatureId.WRITE_ATOMICITY.value: 0,
}
"""Defaults."""

THRESHOLDS: dict[int, int] = {ThresholdType.OVER.value: WARNING_KELVIN, ThresholdType.UNDER.value: 0}
