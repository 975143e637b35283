"""HPCC by hand against algorithm 1 of SIGCOMM 2019."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from stacks.congestion import Flow, Hpcc, HpccParameters, Loss
from stacks.congestion.hpcc import LOAD_ONE
from stacks.runtime import LocalError
from tests.stacks.congestion.acks import GBPS, PACKET, Connection

BASE_NS = 10_000
RATE = 100 * GBPS
BDP = RATE * BASE_NS // (8 * GBPS)
"""125 000 bytes."""


@dataclass
class Hop:
    hop_id: int
    queue_bytes: int
    sent_bytes: int
    time_ns: int
    rate_bps: int = RATE


def hpcc(**parameters: int) -> tuple[Connection, Hpcc]:
    connection = Connection(
        lambda flow: Hpcc(flow, HpccParameters(**parameters)), line_rate_bps=RATE, base_rtt_ns=BASE_NS
    )
    assert isinstance(connection.controller, Hpcc)
    return connection, connection.controller


def feed(connection: Connection, *hops: Hop) -> None:
    """One packet's acknowledgement in a round of its own."""
    connection.send(1)
    connection.ack(telemetry=hops)


def hop(number: int, *, load: float, queue_bytes: int = 0, hop_id: int = 1) -> Hop:
    """A link after `number` base round trips in each of which it sent at such a share of its rate."""
    return Hop(hop_id, queue_bytes, int(number * load * BDP), number * BASE_NS)


def test_a_flow_begins_at_line_rate_with_one_bandwidth_delay_product() -> None:
    _, controller = hpcc()
    assert (controller.window_bytes, controller.rate_bps, controller.wants_telemetry) == (BDP, RATE, True)
    assert controller.additive_bytes == BDP * 50 // 1000 // 100


def test_the_first_acknowledgement_is_only_remembered() -> None:
    connection, controller = hpcc()
    feed(connection, hop(0, load=1, queue_bytes=10**6))
    assert controller.window_bytes == BDP


def test_load_is_the_sending_rate_and_the_queue_in_bandwidth_delay_products() -> None:
    """u = txRate/B + min(qlen)/(B T): 0.8 and half a BDP."""
    connection, controller = hpcc()
    feed(connection, hop(0, load=0.8, queue_bytes=BDP))
    feed(connection, hop(1, load=0.8, queue_bytes=BDP // 2))
    assert controller.load / LOAD_ONE == pytest.approx(1.3, rel=1e-4)


def test_the_worst_hop_counts() -> None:
    connection, controller = hpcc()
    feed(connection, hop(0, load=0.2), hop(0, load=0.7, hop_id=2))
    feed(connection, hop(1, load=0.2), hop(1, load=0.7, hop_id=2))
    assert controller.load / LOAD_ONE == pytest.approx(0.7, rel=1e-4)


def test_a_shorter_interval_weighs_less() -> None:
    """U = (1 - tau/T) U + tau/T u, with tau = T/4 and u = 1 after U = 0.4."""
    connection, controller = hpcc()
    feed(connection, hop(0, load=0.4))
    feed(connection, hop(1, load=0.4))
    feed(connection, Hop(1, 0, int(0.4 * BDP) + BDP // 4, BASE_NS * 5 // 4))
    assert controller.load / LOAD_ONE == pytest.approx(0.75 * 0.4 + 0.25, rel=1e-3)


def test_above_eta_the_window_is_scaled_to_it() -> None:
    """W = Wc / (U / eta) + W_AI."""
    connection, controller = hpcc(additive_bytes=100)
    feed(connection, hop(0, load=1, queue_bytes=BDP))
    feed(connection, hop(1, load=1, queue_bytes=BDP))
    assert controller.window_bytes == pytest.approx(BDP * 0.95 / 2 + 100, abs=1)
    assert controller.rate_bps == pytest.approx(controller.window_bytes * 8e9 / BASE_NS, rel=1e-6)


def test_below_eta_it_adds_for_max_stage_rounds_and_then_scales() -> None:
    connection, controller = hpcc(max_stage=3, additive_bytes=100)
    controller.reference_bytes = 10_000
    feed(connection, hop(0, load=0.5))
    windows = []
    for number in range(1, 5):
        feed(connection, hop(number, load=0.5))
        windows.append(controller.window_bytes)
    assert windows[:3] == [10_100, 10_200, 10_300]
    assert windows[3] == pytest.approx(10_300 * 0.95 / 0.5 + 100, abs=1)


def test_within_a_round_every_window_is_computed_from_the_same_reference() -> None:
    """Section 3.2: the first acknowledgement of a round moves Wc, the others compute W from it and do not compound."""
    connection, controller = hpcc(max_stage=0, additive_bytes=100)
    connection.send(1)
    connection.ack(telemetry=[hop(0, load=1, queue_bytes=BDP)])
    connection.send(5)
    windows = []
    for number in range(1, 6):
        connection.ack(telemetry=[hop(number, load=1, queue_bytes=BDP)])
        windows.append(controller.window_bytes)
    reference = BDP * 0.95 / 2 + 100
    assert controller.reference_bytes == windows[0] == pytest.approx(reference, abs=1)
    assert windows[1:] == [pytest.approx(reference * 0.95 / 2 + 100, abs=1)] * 4


def test_another_path_is_measured_afresh() -> None:
    connection, controller = hpcc()
    feed(connection, hop(0, load=1, queue_bytes=BDP))
    feed(connection, hop(1, load=1, queue_bytes=BDP, hop_id=9))
    assert controller.window_bytes == BDP


def test_the_window_never_falls_below_a_packet_but_the_rate_does() -> None:
    connection, controller = hpcc(minimum_bps=GBPS // 100)
    for number in range(6):
        feed(connection, hop(number, load=1, queue_bytes=100 * BDP))
    assert controller.window_bytes == PACKET
    assert controller.rate_bps < PACKET * 8 * GBPS // BASE_NS


def test_a_loss_halves_the_reference() -> None:
    connection, controller = hpcc()
    controller.handle_loss(Loss(PACKET, is_timeout=False), connection.now)
    assert controller.window_bytes == controller.reference_bytes == BDP // 2


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(LocalError, match="base_rtt_ns"):
        Hpcc(Flow(line_rate_bps=1, packet_bytes=1))
    with pytest.raises(LocalError, match="eta"):
        HpccParameters(eta_1000=0)
    with pytest.raises(LocalError, match="flows"):
        HpccParameters(flows=0)
    with pytest.raises(LocalError, match="max_stage"):
        HpccParameters(max_stage=-1)
