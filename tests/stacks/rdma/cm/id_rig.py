"""Two devices' connection managers with identifiers, joined by a wire that takes no time."""

from __future__ import annotations

import random

from stacks.rdma import QpType
from stacks.rdma.cm import CmConfig, ConnParam, EventChannel, RdmaCm, RdmaEvent, RdmaId, Routes
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, PASSIVE
from tests.stacks.rdma.cm.test_rdma_cm import FakeQp
from wire.ibcm import RdmaPortSpace

PORT = 7174


class GroupQp(FakeQp):
    """A UD queue pair that can be in groups, as long as it is told that it may."""

    def __init__(self, number: int, *, may_join: bool = True) -> None:
        super().__init__(number, qp_type=QpType.UD)
        self.groups: set[str] = set()
        self.may_join = may_join

    def attach_mcast(self, group: str, /) -> None:
        if not self.may_join:
            raise LocalError("no room")
        self.groups.add(group)

    def detach_mcast(self, group: str, /) -> None:
        self.groups.discard(group)


class IdRig:
    """client and server: one device each, with a channel; `server` accepts with `answer` until told otherwise."""

    def __init__(self, *, config: CmConfig | None = None, routes: Routes | None = None) -> None:
        self.left = RdmaCm(ACTIVE, rng=random.Random(1), config=config)
        self.right = RdmaCm(PASSIVE, rng=random.Random(2), config=config)
        self.client, self.server = EventChannel(), EventChannel()
        self.routes = routes
        self.now = 0
        self.loses = False
        self._qpn = 10

    def new_id(
        self, space: RdmaPortSpace = RdmaPortSpace.TCP, qp_type: QpType | None = None, *, on_right: bool = False
    ) -> RdmaId:
        """An identifier of the client, or of the server."""
        cm, channel = (self.right, self.server) if on_right else (self.left, self.client)
        return RdmaId(channel, cm, port_space=space, qp_type=qp_type, routes=self.routes)

    def new_qp(self, qp_type: QpType = QpType.RC) -> FakeQp:
        """A fresh queue pair."""
        self._qpn += 1
        return GroupQp(self._qpn) if qp_type is QpType.UD else FakeQp(self._qpn, qp_type=qp_type)

    def listening(self, space: RdmaPortSpace = RdmaPortSpace.TCP, qp_type: QpType | None = None) -> RdmaId:
        """An identifier of the server that listens on PORT."""
        listener = self.new_id(space, qp_type, on_right=True)
        listener.bind_addr("0.0.0.0", PORT)
        listener.listen()
        return listener

    def resolved(self, space: RdmaPortSpace = RdmaPortSpace.TCP, qp_type: QpType | None = None) -> RdmaId:
        """An identifier of the client that is ready to connect; its events were taken."""
        rdma_id = self.new_id(space, qp_type)
        rdma_id.resolve_addr(PASSIVE, PORT)
        rdma_id.resolve_route()
        assert self.kinds(self.client) == ["ADDR_RESOLVED", "ROUTE_RESOLVED"]
        return rdma_id

    def requested(self, param: ConnParam | None = None, *, with_qp: bool = True) -> tuple[RdmaId, RdmaId]:
        """Both ends of a connection that was asked for."""
        active = self.resolved()
        if with_qp:
            active.attach_qp(self.new_qp())
        active.connect(param)
        self.run()
        return active, self.take(self.server).id

    def connected(self) -> tuple[RdmaId, RdmaId]:
        """Both ends of an established connection."""
        active, passive = self.requested()
        passive.attach_qp(self.new_qp())
        passive.accept()
        self.run()
        assert self.kinds(self.client) == self.kinds(self.server) == ["ESTABLISHED"]
        return active, passive

    def run(self) -> None:
        """Deliver what was sent, until nothing is."""
        is_busy = True
        while is_busy:
            is_busy = False
            for source, sender, receiver in ((ACTIVE, self.left, self.right), (PASSIVE, self.right, self.left)):
                while (item := sender.poll_mad(self.now)) is not None:
                    is_busy = True
                    if not self.loses:
                        receiver.handle_mad(source, memoryview(item[1]), self.now)

    def pass_time(self) -> None:
        """Let everything that waits come to its end."""
        self.run()
        for _ in range(1000):
            deadlines = [each for each in (self.left.poll_deadline(), self.right.poll_deadline()) if each is not None]
            if not deadlines:
                return
            self.now = max(self.now, min(deadlines))
            self.left.handle_timeout(self.now)
            self.right.handle_timeout(self.now)
            self.run()

    @staticmethod
    def take(channel: EventChannel) -> RdmaEvent:
        """The next event, acknowledged."""
        event = channel.poll_event()
        assert event is not None
        channel.ack(event)
        return event

    def kinds(self, channel: EventChannel) -> list[str]:
        """All events of a channel, acknowledged."""
        return [self.take(channel).kind.name for _ in range(len(channel))]
