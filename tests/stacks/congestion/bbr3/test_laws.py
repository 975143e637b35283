"""Laws that BBRv3 obeys whatever its code looks like, and the same outcome everywhere.

The digests are of whole traces: every acknowledgement's time, state, outputs and variables. They change when behaviour
does; the same on every machine, Python version and hash seed, they say that nothing else changes it. `python -m
tests.stacks.congestion.bbr3.test_laws` prints them anew.
"""

from __future__ import annotations

import hashlib
import random

import pytest

from stacks.congestion import Ack
from stacks.congestion.bbr3 import State
from tests.stacks.congestion.bbr3.path import SECOND_NS
from tests.stacks.congestion.bbr3.rig import POINTS, Point, Rig

DIGESTS = {
    0: "af746927a075c76733d1ec77b24149820a64227ddb17ee2f2a7345092f8336e3",
    1: "7b269ac875495cbd5d853c3b7d42b0c91a3e0f343ce547411f5e7bee016314ff",
    2: "d27e8ab8d537e1dde526842debdc6bc5951098a063487872b1031ea1019cdbdd",
    3: "9770a2190263ec22beb371930637f072f25151e1b6a00454015eb2e7fc24d351",
}


@pytest.mark.parametrize("point", [POINTS[1], POINTS[3], Point(1_000_000_000, 10_000_000, 9000)], ids=str)
def test_the_queue_is_at_most_a_bdp(point: Point) -> None:
    """The draft, 5.3.1.1: cwnd_gain - 1 BDPs, so one; in ProbeBW_UP, whose gain is 2.25, five quarters.

    More precisely the gain times BBR's estimate, less what the path itself holds; the estimate is above it by what two
    packets take. What the window adds for aggregation comes on top, a quantum, or four packets, and the acknowledgement
    of two by which Startup may go above the bound (5.6.4.6).
    """
    rig = Rig(point, buffer_bdp=20)
    bbr = rig.bbr
    worst = {True: 0, False: 0}
    cruise: list[int] = []

    def after(ack: Ack, now: int) -> None:
        is_up = bbr.phase is State.UP
        # What is in flight in ProbeBW_DOWN was sent in ProbeBW_UP.
        allowance = bbr.extra_acked + max(bbr.send_quantum_bytes, 4 * point.packet_bytes) + 2 * point.packet_bytes
        backlog = rig.queue.backlog_bytes - allowance
        worst[is_up or bbr.phase is State.DOWN] = max(worst[is_up or bbr.phase is State.DOWN], backlog)
        if bbr.phase is State.CRUISE:
            cruise.append(rig.queue.backlog_bytes)

    rig.on_ack = after
    rig.bulk()
    rig.until_state(State.DOWN)
    rig.until_state(State.UP)
    rig.until_state(State.CRUISE)
    rig.until_state(State.UP)
    bdp = bbr.bdp
    assert bdp <= point.bdp_bytes * 105 // 100 + 2 * point.packet_bytes
    assert bdp // 2 < worst[False] <= 2 * bdp - point.bdp_bytes
    assert bdp // 2 < worst[True] <= 9 * bdp // 4 - point.bdp_bytes
    # And in CRUISE, which is most of the time, next to nothing.
    assert sorted(cruise)[len(cruise) // 2] <= max(bbr.send_quantum_bytes, 2 * point.packet_bytes)
    assert rig.queue.dropped_packets == 0


def goodput(loss: float, *, seed: int) -> float:
    """The share of 20 Mbit/s that arrives over ten seconds, ten seconds after independent loss began."""
    point = POINTS[1]
    rig = Rig(point)
    rng = random.Random(seed)
    rig.bulk()
    rig.until_state(State.CRUISE)
    rig.gate.drop = lambda packet: rng.random() < loss
    rig.run(10 * SECOND_NS)
    before = rig.flow.receiver.goodput_bytes
    rig.run(10 * SECOND_NS)
    return (rig.flow.receiver.goodput_bytes - before) * 8 / 10 / point.rate_bps


def test_throughput_stands_loss_of_one_percent_and_collapses_above_two() -> None:
    """The draft, 3.1 and 5.3.3.5.2: up to 1 % on average is sustained; LossThresh, 2 %, ends every probe."""
    assert goodput(0.0, seed=1) > 0.95
    assert goodput(0.01, seed=1) > 0.7
    assert goodput(0.05, seed=1) < 0.15


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_throughput_falls_with_loss_for_every_seed(seed: int) -> None:
    shares = [goodput(loss, seed=seed) for loss in (0.0, 0.01, 0.03, 0.05)]
    assert shares[1] > 0.7
    assert shares[2] < 0.6
    assert shares[3] < 0.15


def trace(number: int) -> str:
    """The digest of ten seconds of bulk, a pause, loss, reordering and a slower link; a tenth of it at 10 Gbit/s."""
    point = POINTS[number]
    second_ns = SECOND_NS if point.rate_bps < 10**9 else SECOND_NS // 50
    rig = Rig(point, buffer_bdp=1.5)
    bbr = rig.bbr
    digest = hashlib.sha256()

    def after(ack: Ack, now: int) -> None:
        values = ",".join(str(value) for value in bbr.variables().values())
        outputs = f"{bbr.rate_bps} {bbr.window_bytes} {bbr.send_quantum_bytes}"
        digest.update(f"{now} {bbr.state} {ack.delivery_rate_bps} {outputs} {values}\n".encode())

    rig.on_ack = after
    rng = random.Random(number)
    rig.bulk()
    rig.run(3 * second_ns)
    rig.pause()
    rig.run(second_ns)
    rig.bulk()
    rig.gate.drop = lambda packet: rng.random() < 0.01
    rig.gate.hold = lambda packet: point.rtt_ns // 8 if packet.number % 97 == 0 else 0
    rig.run(3 * second_ns)
    rig.gate.drop = None
    rig.batcher.period_ns = point.rtt_ns // 3
    rig.run(3 * second_ns)
    assert rig.acks > 100
    return digest.hexdigest()


@pytest.mark.parametrize("number", range(4), ids=lambda number: str(POINTS[number]))
def test_a_trace_is_the_same_on_every_machine_and_version(number: int) -> None:
    assert trace(number) == DIGESTS[number]


if __name__ == "__main__":
    for index in range(4):
        print(f'    {index}: "{trace(index)}",')
