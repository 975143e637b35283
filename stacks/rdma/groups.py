"""Multicast groups of one device: which queue pairs get a copy of what is sent to them (IBTA 10.5.2).

A core does not join anything itself: `membership` is whatever the device's packets come by, if it can.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from stacks.runtime import LocalError
from transports.datagram import MulticastTransport
from transports.errors import TransportError

if TYPE_CHECKING:
    from stacks.rdma.unreliable.datagram_queue_pair import DatagramQp


class Groups:
    """The groups that queue pairs of one device are attached to. address: the device's IP address."""

    def __init__(self, address: str) -> None:
        self._version = ip_address(address).version
        self.members: dict[str, list[DatagramQp]] = {}
        """By group, in numeric text form; none is empty."""
        self.membership: MulticastTransport | None = None

    def attach(self, group: str, qp: DatagramQp) -> None:
        """See `DatagramQp.attach_mcast`."""
        name = self._name(group)
        members = self.members.get(name)
        if members is None:
            if self.membership is not None:
                try:
                    self.membership.join(name)
                except TransportError as error:
                    raise LocalError(str(error), errno=error.errno) from error
            members = self.members[name] = []
        if qp not in members:
            members.append(qp)

    def detach(self, group: str, qp: DatagramQp) -> None:
        """See `DatagramQp.detach_mcast`."""
        name = self._name(group)
        members = self.members.get(name, [])
        if qp not in members:
            raise LocalError(f"QP {qp.number} is not attached to {group}")
        members.remove(qp)
        if not members:
            del self.members[name]
            if self.membership is not None:
                self.membership.leave(name)

    def of(self, qp: DatagramQp) -> list[str]:
        """The groups that a queue pair is attached to."""
        return [group for group, members in self.members.items() if qp in members]

    def _name(self, group: str) -> str:
        try:
            address = ip_address(group)
        except ValueError:
            raise LocalError(f"{group!r} is no IP address in numeric text form") from None
        if not address.is_multicast or address.version != self._version:
            raise LocalError(f"{group} is no IPv{self._version} multicast group")
        return str(address)
