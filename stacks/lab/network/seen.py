"""What tables and metrics ask of a link, whoever runs it."""

from __future__ import annotations

from typing import Protocol


class SeenLink(Protocol):
    """A link with a queue; see `Link` for what is what."""

    @property
    def name(self) -> str:
        """As results call it."""

    @property
    def rate_bps(self) -> int:
        """Or 0."""

    @property
    def limit_bytes(self) -> int:
        """Room of its queue."""

    @property
    def is_constant(self) -> bool:
        """Whether the rate is."""

    @property
    def watched(self) -> tuple[int, int, int, int, int]:
        """After the warm-up: packets and bytes sent, packets that the queue dropped, marked, and packets lost."""
