"""The ports of a device, a set for each port space (Linux cma_check_port and cma_alloc_any_port)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from errno import EADDRINUSE, EADDRNOTAVAIL

from stacks.runtime import LocalError
from wire.ibcm import RdmaPortSpace


@dataclass(eq=False, slots=True)
class PortBinding:
    """A port that an identifier holds. is_shared: others that share may bind to it, until somebody listens."""

    space: RdmaPortSpace
    port: int
    is_shared: bool = False
    is_listening: bool = False


@dataclass(eq=False, slots=True)
class PortTable:
    """Who holds which port. draw: a random integer of so many bits."""

    draw: Callable[[int], int]
    _bindings: dict[tuple[RdmaPortSpace, int], list[PortBinding]] = field(default_factory=dict)

    def bind(self, space: RdmaPortSpace, port: int, *, is_shared: bool = False) -> PortBinding:
        """Take a port, 1 to 65535, or any free one for 0; LocalError when it is out of range or taken."""
        if not 0 <= port <= 0xFFFF:
            raise LocalError(f"a port is 0 to 65535, not {port}")
        if port == 0:
            port = self._free_port(space)
        binding = PortBinding(space, port, is_shared)
        holders = self._bindings.setdefault((space, port), [])
        if any(not _may_share(binding, other) for other in holders):
            raise LocalError(f"port {port} of port space {space.name} is taken", errno=EADDRINUSE)
        holders.append(binding)
        return binding

    def listen(self, binding: PortBinding) -> None:
        """Make a binding the only one of its port; LocalError when it is not."""
        if len(self._bindings[binding.space, binding.port]) > 1:
            raise LocalError(f"port {binding.port} of {binding.space.name} is shared: nobody listens", errno=EADDRINUSE)
        binding.is_listening = True

    def release(self, binding: PortBinding) -> None:
        """Give a port back."""
        holders = self._bindings[binding.space, binding.port]
        holders.remove(binding)
        if not holders:
            del self._bindings[binding.space, binding.port]

    def _free_port(self, space: RdmaPortSpace) -> int:
        start = self.draw(16)
        for step in range(_EPHEMERAL):
            port = _FIRST_EPHEMERAL + (start + step) % _EPHEMERAL
            if (space, port) not in self._bindings:
                return port
        raise LocalError(f"no port of port space {space.name} is free", errno=EADDRNOTAVAIL)


def _may_share(one: PortBinding, other: PortBinding) -> bool:
    return one.is_shared and other.is_shared and not other.is_listening


# Linux's default ip_local_port_range.
_FIRST_EPHEMERAL = 32768
_EPHEMERAL = 60999 - _FIRST_EPHEMERAL + 1
