"""Swift by hand against algorithm 1 and the target of section 3.1 (SIGCOMM 2020)."""

from __future__ import annotations

from math import sqrt

import pytest

from stacks.congestion import Loss, Swift, SwiftParameters
from stacks.congestion.swift import WINDOW_ONE
from stacks.runtime import LocalError
from tests.stacks.congestion.acks import PACKET, Connection

ONE = PACKET * WINDOW_ONE
FLAT = SwiftParameters(fs_range_ns=0)
"""Without flow scaling: a target of 25 us."""


def swift(parameters: SwiftParameters = FLAT, packets: int = 10) -> tuple[Connection, Swift]:
    connection = Connection(lambda flow: Swift(flow, parameters), initial_packets=packets)
    assert isinstance(connection.controller, Swift)
    connection.now = 1_000_000
    return connection, connection.controller


@pytest.mark.parametrize("packets", [0.05, 0.1, 0.5, 1, 4, 25, 99, 100, 400])
def test_the_target_is_base_hops_and_flow_scaling(packets: float) -> None:
    parameters = SwiftParameters(base_target_ns=20_000, hop_ns=3_000, hops=4, fs_range_ns=100_000)
    connection, controller = swift(parameters)
    a = 100_000 / (1 / sqrt(0.1) - 1 / sqrt(100))
    scaled = max(0.0, min(a / sqrt(packets) - a / sqrt(100), 100_000))
    controller.window = int(packets * ONE)
    connection.send(1)
    connection.ack(rtt_ns=10**9)
    assert controller.target_ns == pytest.approx(20_000 + 4 * 3_000 + scaled, rel=0.01)


def test_below_the_target_a_round_of_acknowledgements_adds_one_packet() -> None:
    connection, controller = swift()
    connection.round(rtt_ns=20_000)
    assert controller.window / ONE == pytest.approx(11, rel=0.01)


def test_below_one_packet_every_acknowledged_packet_adds_one() -> None:
    """cwnd += ai * num_acked."""
    connection, controller = swift()
    controller.window = ONE // 4
    connection.send(1)
    connection.ack(rtt_ns=20_000)
    assert controller.window == ONE // 4 + ONE


def test_above_the_target_it_shrinks_by_beta_times_the_excess() -> None:
    """0.8 * (30 - 25) / 30."""
    connection, controller = swift()
    connection.send(1)
    connection.ack(rtt_ns=30_000)
    assert controller.window / ONE == pytest.approx(10 * (1 - 0.8 * 5 / 30), rel=1e-3)


def test_a_decrease_is_at_most_half() -> None:
    connection, controller = swift()
    connection.send(1)
    connection.ack(rtt_ns=10_000_000)
    assert controller.window == 5 * ONE


def test_there_is_one_decrease_a_round_trip() -> None:
    connection, controller = swift()
    connection.send(12)
    connection.ack(rtt_ns=50_000)
    once = controller.window
    for _ in range(9):
        connection.now += 5_000
        connection.ack(rtt_ns=50_000)
    assert controller.window == once
    connection.now += 5_000
    connection.ack(rtt_ns=50_000)
    assert controller.window < once


def test_a_loss_takes_max_mdf_and_five_timeouts_all() -> None:
    connection, controller = swift()
    controller.handle_loss(Loss(PACKET, is_timeout=False), connection.now)
    assert controller.window == 5 * ONE
    for number in range(5):
        controller.handle_loss(Loss(PACKET, is_timeout=True), connection.now + number)
    assert controller.window == ONE * 10 // 1024


def test_below_one_packet_it_is_paced_and_above_not() -> None:
    """One packet each rtt / cwnd."""
    connection, controller = swift()
    assert controller.rate_bps is None
    connection.send(1)
    connection.ack(rtt_ns=100_000)
    controller.window = ONE // 8
    connection.now += 1_000_000
    connection.send(1)
    connection.ack(rtt_ns=100_000)
    assert controller.window_bytes == PACKET
    per_packet_ns = 100_000 * ONE // controller.window
    assert controller.rate_bps == pytest.approx(PACKET * 8 * 10**9 / per_packet_ns, rel=0.01)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(LocalError, match="base_target_ns"):
        SwiftParameters(base_target_ns=0)
    with pytest.raises(LocalError, match="hops"):
        SwiftParameters(hops=-1)
    with pytest.raises(LocalError, match="fs_min"):
        SwiftParameters(fs_min_1024=0)
    with pytest.raises(LocalError, match="max_mdf"):
        SwiftParameters(max_mdf_1024=0)
