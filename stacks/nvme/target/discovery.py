"""The discovery service: what there is to connect to, told to each host as far as it may know.

    this discovery service, at every port                                 SUBTYPE 3
    every subsystem that admits the host, at every port that reaches it   SUBTYPE 2
    referrals to discovery services elsewhere                             SUBTYPE 1

A host that stays connected is told when its own view of the log is another one, and only then. The generation counts
every change of what anybody could see, so it never stays the same while a log differs.

Left out, and not claimed in log page 00h: entries of subsystems that the host may not connect to (LSP bit 2).

Follows NVMe over Fabrics 1.1 5 (NVMe Base 2.0 5.16.1.23; LSP, DLPF and TDLPL as in 2.1 5.1.12.3.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stacks.nvme.target.discovery_record import CURRENT_FLAGS, PortAddress, Record, check_address
from stacks.nvme.target.events import DISCOVERY_CHANGED
from stacks.runtime import LocalError
from wire.nvme.kinds import DiscoveryLogOption, SubsystemType, TransportType
from wire.nvme.logs_codec import DiscoveryHeader
from wire.nvme.opcodes import DISCOVERY_NQN

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.port import Port
    from stacks.nvme.target.target import Target


class DiscoveryService:
    """The discovery service of a target.

    generation: GENCTR, how often what there is has changed. referrals: other services that hosts are sent to.
    """

    def __init__(self, target: Target) -> None:
        self.generation = 0
        self.referrals: dict[PortAddress, str] = {}
        self._target = target
        self._views: dict[Controller, tuple[Record, ...]] = {}
        self._logs: dict[tuple[object, ...], bytes] = {}
        """Pages as they were last read: hosts read long ones a piece at a time, each cut from the whole."""

    def add_referral(self, address: PortAddress, nqn: str = DISCOVERY_NQN) -> None:
        """Send hosts to the discovery service `nqn` at another address; LocalError when they are already, or for an
        address that nobody could connect to.
        """
        check_address(address)
        if address in self.referrals:
            raise LocalError(f"there is a referral to {address.host} port {address.port} already")
        self.referrals[address] = nqn
        self.changed()

    def remove_referral(self, address: PortAddress) -> None:
        """Send hosts there no more; LocalError when they are not."""
        if address not in self.referrals:
            raise LocalError(f"there is no referral to {address.host} port {address.port}")
        del self.referrals[address]
        self.changed()

    def changed(self) -> None:
        """What there is has changed: count it, and tell the hosts that see something else now."""
        self.generation += 1
        self._logs.clear()
        for controller, view in list(self._views.items()):
            self._views[controller] = now = tuple(self._records(controller))
            if now != view:
                controller.raise_event(DISCOVERY_CHANGED)

    def begin(self, controller: Controller) -> None:
        """A discovery controller is there."""
        self._views[controller] = tuple(self._records(controller))

    def end(self, controller: Controller) -> None:
        """A controller is gone."""
        self._views.pop(controller, None)

    def log(self, controller: Controller, options: int) -> bytes:
        """The whole log page 70h; options: LSP, of which the ones that are not supported have no effect."""
        options &= SUPPORTED_OPTIONS
        queue = controller.admin_queue
        assert queue is not None
        reader = (controller.host_nqn, queue.local_host, controller.subsystem, controller.port, options)
        log = self._logs.get(reader)
        if log is None:
            while len(self._logs) >= LOGS_KEPT:
                del self._logs[next(iter(self._logs))]
            log = self._logs[reader] = self._encoded(controller, options)
        return log

    def _encoded(self, controller: Controller, options: int) -> bytes:
        is_extended = bool(options & DiscoveryLogOption.EXTENDED_ENTRIES)
        only = controller.port if options & DiscoveryLogOption.PORT_LOCAL_ENTRIES else None
        entries = [record.encode(is_extended=is_extended) for record in self._records(controller, only)]
        length = DiscoveryHeader.SIZE + sum(map(len, entries))
        header = DiscoveryHeader(
            genctr=self.generation, numrec=len(entries), dlpf=options, tdlpl=length if is_extended else 0
        )
        return header.encode() + b"".join(entries)

    def _records(self, controller: Controller, only: Port | None = None) -> Iterator[Record]:
        assert controller.admin_queue is not None
        local_host = controller.admin_queue.local_host
        came_by = controller.port.address
        is_by_quic = came_by is not None and came_by.transport == TransportType.QUIC
        for subsystem in self._target.subsystems.values():
            if not subsystem.admits(controller.host_nqn):
                continue
            is_this = subsystem is controller.subsystem
            subtype, flags = (SubsystemType.CURRENT_DISCOVERY, CURRENT_FLAGS) if is_this else (SubsystemType.NVM, 0)
            for port in self._target.ports:
                address = None if port.address is None else port.address.as_seen_by(local_host)
                if address is not None and address.transport == TransportType.QUIC and not is_by_quic:
                    continue  # no transport of the specification: only who uses it knows of it
                if address is not None and only in (None, port) and port.reaches(subsystem):
                    yield Record(subtype, address, subsystem.nqn, port.portid, flags)
        if only is None:
            for address, nqn in self.referrals.items():
                yield Record(SubsystemType.REFERRAL, address, nqn, 0)


LOGS_KEPT = 8
SUPPORTED_OPTIONS = DiscoveryLogOption.EXTENDED_ENTRIES | DiscoveryLogOption.PORT_LOCAL_ENTRIES
"""Of LSP, as log page 00h says."""
