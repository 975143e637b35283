"""What an identifier asks before it asks its peer: whether the address can be reached, and how large packets may be."""

from __future__ import annotations

from typing import Protocol


class Routes(Protocol):
    """Knowledge of the network that a device cannot have of itself."""

    def is_reachable(self, destination: str) -> bool:
        """Whether there is a way to an address, in numeric text form; False becomes ADDR_ERROR."""

    def path_mtu(self, destination: str) -> int | None:
        """The largest path MTU in bytes on the way there; None becomes ROUTE_ERROR."""


class AnyRoute:
    """Everything is reachable, at any path MTU: the peer's manager will tell otherwise."""

    def is_reachable(self, destination: str) -> bool:  # noqa: ARG002 (the answer is the same for all)
        """True."""
        return True

    def path_mtu(self, destination: str) -> int | None:  # noqa: ARG002 (the answer is the same for all)
        """The largest there is."""
        return LARGEST_PATH_MTU


LARGEST_PATH_MTU = 4096
