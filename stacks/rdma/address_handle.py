"""Address handles: where a datagram goes (IBTA 10.2.2.2, 11.2.2)."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from stacks.rdma.attributes import AddressVector
from stacks.runtime import LocalError

if TYPE_CHECKING:
    from stacks.rdma.memory import Pd


class AddressHandle:
    """The way to one host, or to a multicast group; made by `Pd.create_ah`.

    pd: the protection domain of the queue pairs that may use it. av: what it was made of. host: where to, in numeric
    text form as the device writes addresses.
    """

    __slots__ = ("av", "host", "is_valid", "pd")

    def __init__(self, pd: Pd, av: AddressVector, *, source: str) -> None:
        try:
            there = ip_address(av.destination)
        except ValueError:
            raise LocalError(f"{av.destination!r} is no IP address in numeric text form") from None
        if there.version != ip_address(source).version:
            raise LocalError(f"{av.destination} and {source}, the device's, are of different address families")
        self.pd = pd
        self.av = av
        self.host = str(there)
        self.is_valid = True

    def destroy(self) -> None:
        """Have no further datagram go this way; those that were posted still do (IBTA 11.2.2.4). Idempotent."""
        self.is_valid = False
