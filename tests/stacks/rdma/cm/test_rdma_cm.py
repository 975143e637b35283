"""The connection manager with queue pairs: where each event leaves them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.rdma import AddressVector, Device, QpAttributes, QpState, QpType, RecvWr, SendWr, WcStatus, WrOpcode
from stacks.rdma.attributes import check_attributes
from stacks.rdma.cm import CmConfig, CmEvent, CmEventType, CmQp, Connection, RdmaCm
from stacks.runtime import LocalError
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE
from transports.simulation import Impairments, Network, Simulation
from wire.ibcm import RejectReason


class FakeQp:
    """A queue pair without packets, under the true attribute rules."""

    def __init__(self, number: int, state: QpState = QpState.RESET, qp_type: QpType = QpType.RC) -> None:
        self.number = number
        self.qp_type = qp_type
        self.state = state
        self.on_established: Callable[[FakeQp], None] | None = None
        self.history: list[QpAttributes] = []

    def modify(self, attributes: QpAttributes) -> None:
        self.state = check_attributes(self.qp_type, self.state, attributes)
        self.history.append(attributes)


class Pair:
    """Two managers joined by a wire that takes no time."""

    def __init__(self, config: CmConfig | None = None) -> None:
        self.active = RdmaCm(ACTIVE, rng=random.Random(1), config=config)
        self.passive = RdmaCm(PASSIVE, rng=random.Random(2), config=config)
        self.passive.listen(SERVICE)
        self.now = 0

    def run(self) -> None:
        is_busy = True
        while is_busy:
            is_busy = False
            for source, sender, receiver in ((ACTIVE, self.active, self.passive), (PASSIVE, self.passive, self.active)):
                while (item := sender.poll_mad(self.now)) is not None:
                    is_busy = True
                    receiver.handle_mad(source, memoryview(item[1]), self.now)

    def pass_time(self, duration_ns: int) -> None:
        self.now += duration_ns
        for manager in (self.active, self.passive):
            manager.handle_timeout(self.now)
        self.run()

    def requested(self, qp: CmQp, private_data: bytes = b"") -> tuple[Connection, Connection]:
        """Both ends of a connection that is asked for."""
        active = self.active.connect(PASSIVE, SERVICE, qp=qp, private_data=private_data)
        self.run()
        return active, event_of(self.passive).connection

    def connected(self) -> tuple[Connection, Connection, FakeQp, FakeQp]:
        left, right = FakeQp(3), FakeQp(4)
        active, passive = self.requested(left)
        self.passive.accept(passive, qp=right)
        self.run()
        assert kinds(self.active) == kinds(self.passive) == ["ESTABLISHED"]
        return active, passive, left, right


def event_of(manager: RdmaCm) -> CmEvent:
    event = manager.poll_event()
    assert event is not None
    return event


def kinds(manager: RdmaCm) -> list[str]:
    told = []
    while (event := manager.poll_event()) is not None:
        told.append(event.kind.name)
    return told


def test_both_queue_pairs_are_ready_to_send_when_established_is_told() -> None:
    pair = Pair()
    active, passive, left, right = pair.connected()
    assert left.state is right.state is QpState.RTS
    assert [each.state for each in left.history] == [QpState.INIT, QpState.RTR, QpState.RTS]
    assert left.history[1].av == AddressVector(destination=PASSIVE)
    assert (left.history[1].dest_qpn, right.history[1].dest_qpn) == (4, 3)
    assert left.history[1].rq_psn == right.history[2].sq_psn
    assert right.history[1].rq_psn == left.history[2].sq_psn
    assert left.history[1].path_mtu == right.history[1].path_mtu == 4096
    assert pair.active.qp(active) is left
    assert pair.passive.qp(passive) is right


def test_the_passive_queue_pair_receives_before_its_reply_leaves() -> None:
    pair = Pair()
    _, passive = pair.requested(FakeQp(3))
    right = FakeQp(4)
    pair.passive.accept(passive, qp=right)
    assert right.state is QpState.RTR


def test_the_first_packet_readies_the_passive_side_without_rtu() -> None:
    pair = Pair()
    _, passive = pair.requested(FakeQp(3))
    right = FakeQp(4)
    pair.passive.accept(passive, qp=right)
    assert right.on_established is not None
    right.on_established(right)
    assert right.state is QpState.RTS
    assert kinds(pair.passive) == ["ESTABLISHED"]


def test_the_private_data_of_the_reply_comes_with_established() -> None:
    pair = Pair()
    _, passive = pair.requested(FakeQp(3), b"who are you")
    pair.passive.accept(passive, qp=FakeQp(4), private_data=b"the target")
    pair.run()
    assert event_of(pair.active).private_data == b"the target".ljust(196, b"\0")


def test_disconnecting_flushes_both_queue_pairs() -> None:
    pair = Pair()
    active, _, left, right = pair.connected()
    pair.active.disconnect(active)
    assert [left.state, right.state] == [QpState.ERR, QpState.RTS]
    pair.run()
    assert [left.state, right.state] == [QpState.ERR, QpState.ERR]
    assert pair.active.qp(active) is None
    pair.pass_time(1000 * MS)
    assert kinds(pair.active) == kinds(pair.passive) == ["DISCONNECTED", "TIMEWAIT_EXIT"]


def test_a_rejected_queue_pair_goes_to_error() -> None:
    pair = Pair()
    left = FakeQp(3)
    _, passive = pair.requested(left)
    pair.passive.reject(passive, reason=RejectReason.CONSUMER, private_data=b"no")
    pair.run()
    event = event_of(pair.active)
    assert (event.kind, event.status, event.private_data[:2]) == (CmEventType.REJECTED, RejectReason.CONSUMER, b"no")
    assert left.state is QpState.ERR


def test_an_unreachable_queue_pair_goes_to_error() -> None:
    cm = RdmaCm(ACTIVE, rng=random.Random(1), config=CmConfig(max_retries=0))
    left = FakeQp(3)
    cm.connect("192.0.2.99", SERVICE, qp=left)
    assert cm.poll_mad(0) is not None
    deadline = cm.poll_deadline()
    assert deadline is not None
    cm.handle_timeout(deadline)
    assert kinds(cm) == ["UNREACHABLE"]
    assert left.state is QpState.ERR


@pytest.mark.parametrize("state", [QpState.RTR, QpState.RTS, QpState.ERR])
def test_only_a_fresh_queue_pair_can_be_connected(state: QpState) -> None:
    pair = Pair()
    with pytest.raises(LocalError, match=f"QP 3 is in {state.name}"):
        pair.active.connect(PASSIVE, SERVICE, qp=FakeQp(3, state))
    _, passive = pair.requested(FakeQp(3))
    with pytest.raises(LocalError, match="RESET or INIT"):
        pair.passive.accept(passive, qp=FakeQp(4, state))
    pair.passive.accept(passive, qp=FakeQp(4))


def test_a_queue_pair_that_failed_meanwhile_is_a_connect_error() -> None:
    pair = Pair()
    left, right = FakeQp(3), FakeQp(4)
    active, passive = pair.requested(left)
    left.modify(QpAttributes(state=QpState.ERR))
    pair.passive.accept(passive, qp=right)
    pair.run()
    assert kinds(pair.active) == ["CONNECT_ERROR"]
    assert kinds(pair.passive) == ["REJECTED"]
    assert right.state is QpState.ERR
    assert pair.active.qp(active) is None


def test_a_passive_queue_pair_that_failed_meanwhile_stays_in_error() -> None:
    pair = Pair()
    _, passive = pair.requested(FakeQp(3))
    right = FakeQp(4)
    pair.passive.accept(passive, qp=right)
    right.modify(QpAttributes(state=QpState.ERR))
    pair.run()
    assert right.state is QpState.ERR
    assert kinds(pair.passive) == ["ESTABLISHED"]


def test_accepting_a_request_that_was_withdrawn_leaves_the_queue_pair_alone() -> None:
    pair = Pair()
    active, passive = pair.requested(FakeQp(3))
    pair.active.disconnect(active)
    pair.run()
    right = FakeQp(4)
    pair.passive.accept(passive, qp=right)
    assert right.state is QpState.INIT
    assert kinds(pair.passive) == ["REJECTED"]


def test_a_delayed_answer_and_a_closed_service() -> None:
    pair = Pair()
    _, passive = pair.requested(FakeQp(3))
    pair.passive.delay(passive)
    pair.passive.stop_listening(SERVICE)
    pair.run()
    pair.active.connect(PASSIVE, SERVICE, qp=FakeQp(5))
    pair.run()
    assert kinds(pair.active) == ["REJECTED"]
    assert pair.passive.counters.cm_rejects_sent == 1


class Talker:
    """The owner of one device: accepts, sends one message when it asked for the connection, and parts when told."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.cq = device.create_cq(16)
        self.qp = device.alloc_pd().create_qp(send_cq=self.cq, recv_cq=self.cq)
        self.told: list[str] = []
        self.completions: list[WcStatus] = []

    def pump(self, now: int) -> bool:
        count = len(self.told) + len(self.completions)
        while (event := self.device.cm.poll_event()) is not None:
            self.told.append(event.kind.name)
            if event.kind is CmEventType.CONNECT_REQUEST:
                self.device.cm.accept(event.connection, qp=self.qp)
                self.qp.post_recv(RecvWr(2))
            elif event.kind is CmEventType.ESTABLISHED and not event.connection.is_passive:
                self.qp.post_send(SendWr(1, WrOpcode.SEND))
        self.completions.extend(wc.status for wc in self.cq.poll())
        return len(self.told) + len(self.completions) > count


@pytest.mark.parametrize("seed", range(5))
def test_two_devices_connect_talk_and_part_over_a_bad_network(seed: int) -> None:
    simulation = Simulation(seed)
    network = Network(simulation, Impairments(loss=0.1, duplication=0.1, reordering=0.1))
    left, right = (Talker(Device(address, rng=random.Random(seed))) for address in (ACTIVE, PASSIVE))
    hosts = [network.attach(each.device, each.device.address, [each]) for each in (left, right)]
    right.device.cm.listen(SERVICE)
    connection = left.device.cm.connect(PASSIVE, SERVICE, qp=left.qp)
    hosts[0].wake()
    simulation.run_until(lambda: bool(left.completions and right.completions), timeout_ns=60_000 * MS)
    assert left.completions == right.completions == [WcStatus.SUCCESS]
    left.device.cm.disconnect(connection)
    hosts[0].wake()
    simulation.run_until(
        lambda: all(each.told[-1] == "TIMEWAIT_EXIT" for each in (left, right)), timeout_ns=60_000 * MS
    )
    assert left.told == ["ESTABLISHED", "DISCONNECTED", "TIMEWAIT_EXIT"]
    assert right.told == ["CONNECT_REQUEST", "ESTABLISHED", "DISCONNECTED", "TIMEWAIT_EXIT"]
    assert {each.qp.state for each in (left, right)} == {QpState.ERR}
