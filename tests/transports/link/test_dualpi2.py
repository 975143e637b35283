"""DualPI2, RFC 9332: the coupling, both queues' laws, overload, the scheduler, and L's delay beside a full C."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.transports.link.rig import Collector
from transports.errors import TransportError
from transports.link import ECN_CE, ConstantRate, DualPi2, Limits, LinkPacket, Port
from transports.timeline import Timeline

MS = 1_000_000
NOT_ECT, L4S, CLASSIC = 0, 1, 2
UPDATE = TARGET = 15 * MS


def packet(ecn: int, size_bytes: int = 1500) -> LinkPacket:
    return LinkPacket(size_bytes, (), ecn=ecn)


def test_the_base_probability_follows_the_document() -> None:
    """Appendix A.1: alpha = 0.1 Tupdate / RTT_max^2, beta = 0.3 / RTT_max; p_C = (p_CL / k)^2 at every moment."""
    queue = DualPi2()
    assert queue.period_ns == UPDATE  # the smaller of target and RTT_max/3
    queue.enqueue(packet(CLASSIC), 0)
    alpha, beta = Fraction(15, 1000) / 10 / Fraction(1, 100), Fraction(3)
    base, former_ns = Fraction(0), 0
    for index in range(1, 80):
        queue.catch_up(index * UPDATE)
        delay_ns = index * UPDATE if index <= 20 else 0
        base += alpha * Fraction(delay_ns - TARGET, 10**9) + beta * Fraction(delay_ns - former_ns, 10**9)
        base, former_ns = min(max(base, Fraction(0)), Fraction(1)), delay_ns
        assert queue.base == pytest.approx(float(base), rel=1e-9, abs=1e-12)
        assert queue.coupled == pytest.approx(2 * queue.base)
        assert queue.classic == pytest.approx((queue.coupled / 2) ** 2)
        if index == 20:
            assert base > Fraction(1, 2)
            queue.dequeue(20 * UPDATE + 1)
    assert base == 0


def test_the_longer_delay_of_both_counts() -> None:
    queue = DualPi2()
    queue.enqueue(packet(L4S), 1)
    queue.enqueue(packet(CLASSIC), 3 * MS)
    queue.catch_up(20 * MS)
    assert queue.delay_ns == UPDATE


def hold(queue: DualPi2, base: float, ecn: int, *, rounds: int) -> tuple[float, float]:
    """Shares of packets of one kind that are marked and dropped at a fixed base probability."""
    queue.base, queue.coupled, queue.classic = base, queue.k * base, base * base
    sent = [packet(ecn) for _ in range(rounds)]
    for each in sent:
        queue.enqueue(each, 0)
        queue.dequeue(0)
    marked = sum(each.ecn == ECN_CE for each in sent) / rounds
    return marked, queue.dropped_packets / rounds


@pytest.mark.parametrize("base", [0.01, 0.1, 0.3, 0.49])
@pytest.mark.parametrize("k", [1.0, 2.0])
def test_signals_are_coupled_by_a_square(base: float, k: float) -> None:
    """Section 2.1, equation 1: p_C = (p_CL / k)^2; recur gives them as evenly as whole numbers can be."""
    rounds = 10_000
    marked, dropped = hold(DualPi2(k=k), base, L4S, rounds=rounds)
    assert marked == pytest.approx(k * base, abs=2 / rounds)
    assert dropped == 0
    for ecn, shares in ((CLASSIC, (1, 0)), (NOT_ECT, (0, 1))):
        p_c = (marked / k) ** 2
        got = hold(DualPi2(k=k), base, ecn, rounds=rounds)
        assert got == pytest.approx((p_c * shares[0], p_c * shares[1]), abs=3 / rounds)


def test_packets_that_are_marked_already_are_of_l() -> None:
    queue = DualPi2()
    for ecn in (ECN_CE, L4S, CLASSIC, NOT_ECT):
        queue.enqueue(packet(ecn), 0)
    assert (queue.low_packets, queue.backlog_packets) == (2, 4)


def test_in_overload_l_is_dropped_as_c_and_c_is_no_longer_marked() -> None:
    """Appendix A.2: from p_CL = 1 on all of L is marked, and both are dropped with p_C."""
    rounds = 10_000
    marked, dropped = hold(DualPi2(), 0.7, L4S, rounds=rounds)
    assert dropped == pytest.approx(0.49, abs=2 / rounds)
    assert marked == pytest.approx(0.51, abs=2 / rounds)
    assert hold(DualPi2(), 0.7, CLASSIC, rounds=rounds) == pytest.approx((0, 0.49), abs=2 / rounds)


def test_without_drops_in_overload_the_base_ends_at_1_over_k() -> None:
    queue = DualPi2(drops_overload=False)
    queue.enqueue(packet(CLASSIC), 0)
    queue.catch_up(5000 * MS)
    assert (queue.base, queue.coupled, queue.classic) == (0.5, 1.0, 0.25)
    queue.dequeue(5000 * MS)
    assert hold(queue, 0.5, L4S, rounds=1000) == (1.0, 0.0)
    # C is still marked, where it may be.
    assert hold(DualPi2(drops_overload=False), 0.5, CLASSIC, rounds=1000)[0] == pytest.approx(0.25, abs=0.002)


def test_classic_packets_are_dropped_where_ecn_is_off() -> None:
    assert hold(DualPi2(is_ecn=False), 0.3, CLASSIC, rounds=1000) == pytest.approx((0, 0.09), abs=0.002)


@pytest.mark.parametrize(
    ("range_us", "waited_us", "share"),
    [(400, 800, 0.0), (400, 900, 0.25), (400, 1000, 0.5), (400, 1200, 1.0), (400, 9000, 1.0), (0, 800, 0), (0, 801, 1)],
)
def test_l_has_a_ramp_or_a_step(range_us: int, waited_us: int, share: float) -> None:
    """Appendix A.1, laqm: from 800 us on, over 400 us."""
    queue = DualPi2(range_ns=range_us * 1000)
    assert queue.native(waited_us * 1000) == share
    marks = 0
    for _ in range(1000):
        first = packet(L4S)
        for each in (first, packet(L4S)):
            queue.enqueue(each, 0)
        queue.dequeue(waited_us * 1000)
        marks += first.ecn == ECN_CE
        queue.dequeue(0)
    assert marks / 1000 == pytest.approx(share, abs=0.002)


def test_a_packet_with_none_behind_it_is_not_marked_for_its_wait() -> None:
    queue = DualPi2()
    for _ in range(50):
        queue.enqueue(packet(L4S), 0)
        queue.dequeue(14 * MS)
    assert queue.marked_packets == 0


def test_l_goes_first_and_c_has_its_share() -> None:
    """Weighted round robin by bytes: 10 % for C while both wait, whatever their packets' sizes."""
    queue = DualPi2(min_ns=1 << 60, c_share=0.1)
    for _ in range(2000):
        queue.enqueue(packet(CLASSIC, 600), 0)
        queue.enqueue(packet(L4S, 1500), 0)
    sent = [queue.dequeue(0) for _ in range(1500)]
    assert sent[0] is not None
    assert sent[0].ecn == L4S
    classic = [each for each in sent if each is not None and each.ecn == CLASSIC]
    classic_bytes, all_bytes = 600 * len(classic), 600 * len(classic) + 1500 * (len(sent) - len(classic))
    assert classic_bytes / all_bytes == pytest.approx(0.1, abs=0.002)


def test_either_queue_has_the_link_for_itself_while_the_other_is_empty() -> None:
    for ecn in (L4S, CLASSIC):
        queue = DualPi2()
        for number in range(20):
            queue.enqueue(LinkPacket(1000, (), ecn=ecn, payload=number), 0)
        assert [each.payload for each in iter(lambda: queue.dequeue(0), None)] == list(range(20))  # noqa: B023


def test_packets_of_l_pass_a_full_c() -> None:
    """L at half the link's rate in bursts of 3, C with 480 ms of packets: L waits for what is in front, and itself."""
    timeline = Timeline()
    port = Port(timeline, DualPi2(alpha_hz=0.0, beta_hz=0.0), ConstantRate(100_000_000))
    collector = Collector(timeline)
    route = (port.put, collector.put)
    for _ in range(4000):
        LinkPacket(1500, route, ecn=NOT_ECT).forward()

    def burst(index: int) -> None:
        for _ in range(3):
            LinkPacket(1500, route, ecn=L4S).forward()
        if index:
            timeline.at(timeline.now + 720_000, burst, index - 1)

    timeline.at(MS, burst, 300)
    timeline.run(200 * MS)
    waits = [now - each.enqueued_ns for now, each in collector.arrivals if each.ecn != NOT_ECT]
    assert len(waits) > 800
    # 0.12 ms a packet: one in front, three of the burst, and one of C between, as C has its share.
    assert max(waits) <= 5 * 120_000
    assert port.busy_ns >= 199 * MS


def test_limits_are_of_both_together() -> None:
    queue = DualPi2(limits=Limits(packets=3))
    assert [queue.enqueue(packet(ecn), 0) for ecn in (L4S, CLASSIC, NOT_ECT, L4S)] == [True, True, True, False]


def test_what_cannot_be_is_refused() -> None:
    for parameters, words in (
        ({"target_ns": 0}, "target is at least 1, not 0"),
        ({"rtt_max_ns": 0}, "rtt_max is at least 1, not 0"),
        ({"update_ns": 0}, "update is at least 1, not 0"),
        ({"k": 0.5}, "k is a factor from 1 to 16, not 0.5"),
        ({"alpha_hz": -1.0}, "alpha is a gain from 0 to 1e\\+06 Hz, not -1"),
        ({"c_share": 1.5}, "c_share is a probability from 0 to 1, not 1.5"),
        ({"min_ns": -1}, "min is at least 0, not -1"),
        ({"range_ns": -1}, "range is at least 0, not -1"),
    ):
        with pytest.raises(TransportError, match=words):
            DualPi2(**parameters)  # type: ignore[arg-type]
