"""What BBRv1 is known for: a short queue, indifference to loss up to a point, and a model of policers.

The numbers are those of the paper (Cardwell et al., ACM Queue 14(5), 2016) and of tcp_bbr.c.
"""

from __future__ import annotations

from typing import Any

import pytest

from stacks.congestion import Bbr1
from tests.stacks.congestion.told import MS
from tests.stacks.model.rig import PACKET, Rig, random_fate
from transports.link import TokenBucket

MBIT = 1_000_000


def bulk(**options: Any) -> tuple[Rig, Bbr1]:
    rig = Rig("bbr1", **options)
    rig.flow.write(1 << 40)
    assert isinstance(rig.controller, Bbr1)
    return rig, rig.controller


@pytest.mark.parametrize(("rate_bps", "delay_ns"), [(5 * MBIT, 50 * MS), (20 * MBIT, 20 * MS), (200 * MBIT, 2 * MS)])
def test_the_queue_is_a_bdp_at_most_and_a_small_part_of_one_on_average(rate_bps: int, delay_ns: int) -> None:
    """Inflight is 2 BDP at most by cwnd; pacing keeps it at one, and at 5/4 for one round trip of eight.

    On top comes what bbr_quantization_budget adds: three bursts, which are a millisecond each.
    """
    rig, bbr = bulk(rate_bps=rate_bps, delay_ns=delay_ns)
    while bbr.state != "PROBE_BW":
        rig.run_ms(1)
    rig.run_ms(4 * delay_ns // MS)  # what Startup left is gone
    bdp = rate_bps * 2 * delay_ns / 8e9 / PACKET
    queues = []
    busy, start = rig.port.busy_ns, rig.timeline.now
    while rig.timeline.now < start + 60 * delay_ns:
        rig.run_ms(1)
        queues.append(rig.port.queue.backlog_packets)
    bursts = 3 * bbr.tso_segs_goal + 4
    assert max(queues) <= bdp + (bursts if delay_ns < 10 * MS else 0)
    assert sum(queues) / len(queues) < 0.25 * bdp + (bursts if delay_ns < 10 * MS else 0)
    assert rig.port.busy_ns - busy > 0.95 * (rig.timeline.now - start)


def test_a_queue_that_nobody_limits_stays_bounded_where_cubic_fills_it() -> None:
    rig, _ = bulk(rate_bps=20 * MBIT, limit_packets=10_000)
    rig.run_ms(1000)
    worst = 0
    for _ in range(4000):
        rig.run_ms(1)
        worst = max(worst, rig.port.queue.backlog_packets)
    filled = Rig("cubic", rate_bps=20 * MBIT, limit_packets=10_000)
    filled.flow.write(1 << 40)
    filled.run_ms(5000)
    assert worst < 67 < filled.port.queue.backlog_packets / 3


def goodput(loss: float) -> float:
    """Share of the link's rate, from the third second to the tenth."""
    rig, _ = bulk(rate_bps=20 * MBIT, limit_packets=200, forward=random_fate(3, loss=loss))
    rig.run_ms(3000)
    before = rig.receiver.goodput_bytes
    rig.run_ms(7000)
    return (rig.receiver.goodput_bytes - before) * 8 / 7 / (20 * MBIT)


@pytest.mark.parametrize("loss", [0.01, 0.05, 0.10, 0.15])
def test_loss_up_to_fifteen_percent_costs_what_is_lost_and_little_more(loss: float) -> None:
    """The paper's figure 8: close to (1 - p) of the link, where Reno's law gives 2 % of it at 15 %."""
    assert goodput(loss) > 0.85 * (1 - loss)


def test_loss_above_a_fifth_brings_it_down() -> None:
    """A probe of 5/4 that loses a fifth finds no more than there was: the bandwidth only falls (1.25 x 0.8 = 1)."""
    assert goodput(0.30) < 0.4 * (1 - 0.30)


def test_a_policer_is_found_and_its_rate_kept() -> None:
    """10 Mbit/s by a token bucket in front of a link of 100: two lossy intervals that agree, then no more drops."""
    bucket = TokenBucket(10 * MBIT, 100_000)
    clock: list[Rig] = []

    def fate(index: int, packet: Any) -> list[int]:
        now = clock[0].timeline.now if clock else 0
        return [0] if bucket.take(packet.size_bytes, now) else []

    rig = Rig("bbr1", rate_bps=100 * MBIT, limit_packets=2000, forward=fate)
    clock.append(rig)
    bbr = rig.controller
    assert isinstance(bbr, Bbr1)
    rig.flow.write(1 << 40)
    while not bbr.lt_use_bw:
        rig.run_ms(1)
        assert rig.timeline.now < 3000 * MS
    assert abs(bbr.variables()["bw"] * 8 / (10 * MBIT) - 1) < 1 / 8
    assert bbr.pacing_gain == 256
    first, lost, start = bbr.rtt_cnt, rig.sender.lost_packets, rig.timeline.now
    rig.run_ms(500)
    # Nothing is lost any more, but for what was on its way; the rate is the policer's.
    assert rig.sender.lost_packets - lost < 60
    lost, received = rig.sender.lost_packets, rig.receiver.goodput_bytes
    rig.run_ms(1000)
    assert rig.sender.lost_packets == lost
    assert (rig.receiver.goodput_bytes - received) * 8 > 9.5 * MBIT
    while bbr.lt_use_bw:
        rig.run_ms(1)
        assert rig.timeline.now < start + 4000 * MS
    # 48 rounds, counted in PROBE_BW; then it probes anew.
    assert 48 <= bbr.rtt_cnt - first <= 50
