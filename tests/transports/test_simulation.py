"""Virtual time: determinism, order, impairments, fault plans, bounds."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transports.cores import ScriptedCore
from transports.errors import TransportError
from transports.simulation import (
    Host,
    ImpairedPath,
    Impairments,
    Network,
    Packet,
    Simulation,
    SimulationError,
)

NEAR, FAR = ("10.0.0.1", 4791), ("10.0.0.2", 4791)
ROUGH = Impairments(
    delay_ns=20_000, jitter_ns=8_000, loss=0.1, duplication=0.05, corruption=0.05, reordering=0.1, reorder_ns=50_000
)


class Pair:
    """Two hosts: the near one sends, the far one keeps or echoes."""

    def __init__(
        self,
        seed: int = 0,
        impairments: Impairments | None = None,
        *,
        echoes: bool = False,
        merges: bool = True,
        tells_identification: bool = False,
        merge_ns: int = 0,
        receive_buffer_bytes: int = 0,
        processing_ns: int = 0,
    ) -> None:
        self.simulation = Simulation(seed)
        self.network = Network(
            self.simulation,
            impairments,
            merges=merges,
            tells_identification=tells_identification,
            merge_ns=merge_ns,
            receive_buffer_bytes=receive_buffer_bytes,
        )
        self.near, self.far = ScriptedCore(), ScriptedCore(echoes=echoes)
        self.near_host: Host = self.network.attach(self.near, NEAR)
        self.far_host: Host = self.network.attach(self.far, FAR, processing_ns=processing_ns)

    def trace(self) -> list[tuple[int, str, int, bytes]]:
        events: list[tuple[int, str, int, bytes]] = []
        self.network.trace = lambda time_ns, event, packet: events.append(
            (time_ns, event, packet.index, packet.payload)
        )
        return events


def exchange(seed: int) -> tuple[list[tuple[int, str, int, bytes]], list[bytes], list[bytes]]:
    pair = Pair(seed, ROUGH, echoes=True)
    events = pair.trace()
    for number in range(40):
        pair.near.post(bytes([number]) * 950, to=FAR, segment_bytes=100)
    pair.simulation.run()
    return events, pair.near.received, pair.far.received


def test_the_same_seed_gives_the_same_trace_bit_for_bit() -> None:
    assert exchange(7) == exchange(7)


def test_another_seed_gives_another_trace() -> None:
    assert exchange(7) != exchange(8)


def test_a_trace_is_the_same_on_every_machine_and_version() -> None:
    events, near, far = exchange(2024)
    assert (len(events), len(near), len(far), events[-1][0]) == SNAPSHOT


def test_packets_arrive_after_the_delay_and_reach_the_core_after_its_processing() -> None:
    pair = Pair(0, Impairments(delay_ns=1000), processing_ns=300)
    pair.near.post(b"x", to=FAR)
    pair.simulation.run()
    assert pair.far.bursts == [(1, 1300, 1300)]


def test_segments_that_arrive_together_come_as_one_burst() -> None:
    pair = Pair()
    pair.near.post(bytes(950), to=FAR, segment_bytes=100)
    pair.simulation.run()
    assert [count for count, _, _ in pair.far.bursts] == [10]


def test_merging_can_be_switched_off() -> None:
    pair = Pair(merges=False)
    pair.near.post(bytes(950), to=FAR, segment_bytes=100)
    pair.simulation.run()
    assert [count for count, _, _ in pair.far.bursts] == [1] * 10


def test_a_short_segment_ends_a_burst() -> None:
    pair = Pair()
    pair.near.post(bytes(250), to=FAR, segment_bytes=100)
    pair.near.post(bytes(200), to=FAR, segment_bytes=100)
    pair.simulation.run()
    assert [count for count, _, _ in pair.far.bursts] == [3, 2]


def test_bursts_hold_no_more_than_the_kernel_merges() -> None:
    pair = Pair()
    pair.near.post(bytes(64 * 1100), to=FAR, segment_bytes=1100)
    pair.near.post(bytes(70), to=FAR, segment_bytes=1)
    pair.simulation.run()
    assert [count for count, _, _ in pair.far.bursts] == [59, 6, 64, 5]


def test_waiting_for_more_packets_merges_what_a_slow_link_spread() -> None:
    slow = Impairments(delay_ns=0, rate_bps=8_000_000_000)
    spread = Pair(impairments=slow)
    merged = Pair(impairments=slow, merge_ns=10_000)
    for pair in (spread, merged):
        pair.near.post(bytes(500), to=FAR, segment_bytes=100)
        pair.simulation.run()
    assert len(spread.far.bursts) == 5
    assert len(merged.far.bursts) == 1


def test_the_identification_counts_segments_where_it_is_told() -> None:
    pair = Pair(tells_identification=True, merges=False)
    pair.near.post(bytes(300), to=FAR, segment_bytes=100)
    pair.near.post(bytes(100), to=FAR)
    pair.simulation.run()
    assert pair.far.identifications == [0, 1, 2, 0]


def test_a_burst_that_tells_the_identification_has_consecutive_ones() -> None:
    pair = Pair(tells_identification=True)
    pair.network.hook = lambda packet: [] if packet.index == 2 else [packet]
    pair.near.post(bytes(500), to=FAR, segment_bytes=100)
    pair.simulation.run()
    assert [count for count, _, _ in pair.far.bursts] == [2, 2]
    assert pair.far.identifications == [0, 3]


def test_the_identification_is_hidden_as_udp_does() -> None:
    pair = Pair()
    pair.near.post(bytes(100), to=FAR)
    pair.simulation.run()
    assert pair.far.identifications == [None]


def test_a_fault_plan_drops_duplicates_and_changes_single_packets() -> None:
    pair = Pair()

    def plan(packet: Packet) -> Iterable[Packet]:
        match packet.index:
            case 0:
                return []
            case 1:
                return [packet, packet.copy(payload=b"forged")]
            case _:
                return [packet]

    pair.network.hook = plan
    pair.near.post(b"a", to=FAR)
    pair.near.post(b"b", to=FAR)
    pair.near.post(b"c", to=FAR)
    pair.simulation.run()
    assert pair.far.received == [b"b", b"forged", b"c"]


def test_views_are_copied_when_sent() -> None:
    pair = Pair()
    buffer = bytearray(b"before")
    transmit = pair.near.post(b"", to=FAR)
    transmit.views = [buffer]
    pair.near_host.wake()
    pair.simulation.step()
    buffer[:] = b"behind"
    pair.simulation.run()
    assert pair.far.received == [b"before"]


def test_timeouts_fire_at_their_time_and_a_moved_one_only_there() -> None:
    pair = Pair()
    pair.near.deadline = 5_000
    pair.simulation.run(until_ns=1_000)
    pair.near.deadline = 9_000
    pair.simulation.run()
    assert pair.near.timeouts == [9_000]
    assert pair.simulation.now == 9_000


def test_scheduled_actions_run_in_order_and_wake_the_hosts() -> None:
    pair = Pair(impairments=Impairments(delay_ns=0))
    order: list[str] = []
    pair.simulation.at(200, lambda: order.append("second"))
    pair.simulation.at(100, lambda: pair.near.post(b"posted", to=FAR))
    pair.simulation.after(200, lambda: order.append("third"))
    pair.simulation.run(until_ns=150)
    assert pair.far.received == [b"posted"]
    assert pair.simulation.now == 150
    pair.simulation.run()
    assert order == ["second", "third"]


def test_a_timed_service_is_pumped_when_it_is_due() -> None:
    class Store:
        def __init__(self) -> None:
            self.due: int | None = 700
            self.done: list[int] = []

        def pump(self, now: int) -> bool:
            if self.due is None or self.due > now:
                return False
            self.due = None
            self.done.append(now)
            return True

        def poll_deadline(self) -> int | None:
            return self.due

    store, simulation = Store(), Simulation()
    Network(simulation).attach(ScriptedCore(), NEAR, [store])
    simulation.run()
    assert store.done == [700]


def test_running_until_a_condition_stops_right_there() -> None:
    pair = Pair(impairments=Impairments(delay_ns=1000))
    for number in range(3):
        pair.simulation.at(number * 10_000, lambda: pair.near.post(b"x", to=FAR))
    pair.simulation.run_until(lambda: len(pair.far.received) == 2)
    assert pair.simulation.now == 11_000


def test_a_condition_never_met_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(SimulationError, match="nothing left"):
        Pair().simulation.run_until(lambda: False)
    pair = Pair(echoes=True)
    pair.near.echoes = True
    pair.near.post(b"forever", to=FAR)
    with pytest.raises(SimulationError, match="within 1000000 ns"):
        pair.simulation.run_until(lambda: False, timeout_ns=1_000_000)
    with pytest.raises(SimulationError, match="within 500 events"):
        pair.simulation.run_until(lambda: False, max_steps=500)
    with pytest.raises(SimulationError, match="within 500 events"):
        pair.simulation.run(max_steps=500)


def test_a_deadline_that_stays_in_the_past_meets_the_step_bound() -> None:
    class Stuck(ScriptedCore):
        def poll_deadline(self) -> int | None:
            return 0

    simulation = Simulation()
    Network(simulation).attach(Stuck(), NEAR)
    with pytest.raises(SimulationError, match="within 100 events"):
        simulation.run(max_steps=100)


def test_a_full_host_keeps_its_transmit_until_it_is_woken() -> None:
    pair = Pair()
    pair.near_host.transport.is_full = True
    pair.near.post(b"x", to=FAR)
    pair.simulation.run()
    assert pair.far.received == []
    pair.near_host.transport.is_full = False
    pair.simulation.run()
    assert pair.far.received == [b"x"]


def test_a_receive_buffer_overflows_silently() -> None:
    pair = Pair(receive_buffer_bytes=250)
    pair.near.post(bytes(500), to=FAR, segment_bytes=100)
    pair.simulation.run()
    assert len(pair.far.received) == 2
    assert pair.far_host.transport.overflows == 3


def test_packets_for_nobody_are_counted() -> None:
    pair = Pair()
    pair.near.post(bytes(200), to=("10.0.0.9", 4791), segment_bytes=100)
    pair.simulation.run()
    assert pair.network.unroutable == 2


def test_a_detached_host_hears_nothing_and_its_address_is_free() -> None:
    pair = Pair()
    pair.network.detach(pair.far_host)
    pair.near.post(b"x", to=FAR)
    pair.simulation.run()
    assert pair.far.received == []
    replacement = ScriptedCore()
    pair.network.attach(replacement, FAR)
    pair.near.post(b"y", to=FAR)
    pair.simulation.run()
    assert replacement.received == [b"y"]


def test_an_address_is_given_once() -> None:
    pair = Pair()
    with pytest.raises(TransportError, match="taken"):
        pair.network.attach(ScriptedCore(), NEAR)


def test_impairments_can_change_in_the_middle() -> None:
    pair = Pair()
    pair.network.impairments = Impairments(loss=1.0)
    pair.near.post(b"lost", to=FAR)
    pair.simulation.run()
    pair.network.impairments = Impairments()
    pair.network.forget_paths()
    pair.near.post(b"found", to=FAR)
    pair.simulation.run()
    assert pair.far.received == [b"found"]


def packets(count: int, size: int = 100) -> list[Packet]:
    return [Packet(bytes(size), NEAR, FAR, index=index) for index in range(count)]


@pytest.mark.parametrize(
    ("impairments", "counter"),
    [
        (Impairments(loss=0.2), "lost"),
        (Impairments(duplication=0.2), "duplicated"),
        (Impairments(corruption=0.2), "corrupted"),
        (Impairments(reordering=0.2), "reordered"),
    ],
)
def test_each_impairment_strikes_about_as_often_as_told(impairments: Impairments, counter: str) -> None:
    path = ImpairedPath(impairments, random.Random(3))
    path.transit(packets(5000), 0)
    assert 900 < getattr(path, counter) < 1100


def test_corruption_flips_exactly_one_bit_of_a_copy() -> None:
    path = ImpairedPath(Impairments(corruption=1.0), random.Random(3))
    for packet in packets(50):
        [(_, arrived)] = path.transit([packet], 0)
        difference = int.from_bytes(arrived.payload, "big") ^ int.from_bytes(packet.payload, "big")
        assert difference.bit_count() == 1
        assert packet.payload == bytes(100)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1 << 32), jitter_ns=st.integers(0, 10_000), gap_ns=st.integers(0, 2_000))
def test_jitter_alone_keeps_the_order_and_the_bounds(seed: int, jitter_ns: int, gap_ns: int) -> None:
    path = ImpairedPath(Impairments(delay_ns=500, jitter_ns=jitter_ns), random.Random(seed))
    arrivals = [path.transit([packet], packet.index * gap_ns)[0] for packet in packets(40)]
    times = [time_ns for time_ns, _ in arrivals]
    assert times == sorted(times)
    assert all(500 <= time_ns - index * gap_ns <= 500 + jitter_ns for index, time_ns in enumerate(times))


def test_a_reordered_packet_is_overtaken() -> None:
    path = ImpairedPath(Impairments(delay_ns=0, reordering=0.3, reorder_ns=900), random.Random(1))
    arrivals = sorted(path.transit(packets(20), 0), key=lambda arrival: arrival[0])
    indexes = [packet.index for _, packet in arrivals]
    assert sorted(indexes) == list(range(20))
    assert indexes != list(range(20))


def test_a_link_serialises_at_its_rate() -> None:
    path = ImpairedPath(Impairments(delay_ns=0, rate_bps=1_000_000), random.Random(0))
    arrivals = path.transit(packets(3, size=97), 0)
    assert [time_ns for time_ns, _ in arrivals] == [1_000_000, 2_000_000, 3_000_000]


def test_a_full_queue_drops_the_tail() -> None:
    path = ImpairedPath(Impairments(delay_ns=0, rate_bps=1_000_000, queue_bytes=250), random.Random(0))
    assert [packet.index for _, packet in path.transit(packets(5, size=97), 0)] == [0, 1]
    assert path.queue_drops == 3
    assert len(path.transit(packets(1, size=97), 3_000_000)) == 1


def test_impossible_impairments_are_refused() -> None:
    with pytest.raises(ValueError, match="loss is a probability"):
        Impairments(loss=1.5)
    with pytest.raises(ValueError, match="delay_ns is not negative"):
        Impairments(delay_ns=-1)


SNAPSHOT = (1515, 357, 379, 105793)
