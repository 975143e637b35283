"""DCTCP by hand against RFC 8257, section 3.3 and 3.5."""

from __future__ import annotations

import pytest

from stacks.congestion import Dctcp, DctcpParameters, Flow, Loss
from stacks.congestion.dctcp import DCTCP_ALPHA_ONE
from stacks.runtime import LocalError
from tests.stacks.congestion.acks import PACKET, Connection


def avoiding(packets: int, alpha_1024: int = 1024) -> tuple[Connection, Dctcp]:
    """A flow in congestion avoidance with such a window."""
    parameters = DctcpParameters(slow_start=False, initial_alpha_1024=alpha_1024)
    connection = Connection(lambda flow: Dctcp(flow, parameters), initial_packets=packets)
    assert isinstance(connection.controller, Dctcp)
    return connection, connection.controller


def test_its_packets_are_ecn_capable_and_alpha_begins_at_one() -> None:
    """3.3: DCTCP.Alpha is initialised to 1, as conservative as Reno."""
    connection = Connection(Dctcp)
    controller = connection.controller
    assert isinstance(controller, Dctcp)
    assert (controller.ecn, controller.alpha, controller.window_bytes) == (2, DCTCP_ALPHA_ONE, 10 * PACKET)


def test_without_marks_alpha_decays_by_a_sixteenth_a_round() -> None:
    """3.3: alpha (1-g) + g M, with M = 0."""
    connection, dctcp = avoiding(10)
    for _ in range(5):
        connection.round()
    # The first acknowledgement ends a window as well: WindowEnd begins at SND.UNA.
    assert dctcp.alpha / DCTCP_ALPHA_ONE == pytest.approx((15 / 16) ** 5, rel=1e-6)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_alpha_goes_to_the_share_of_marked_bytes(share: float) -> None:
    connection, dctcp = avoiding(100, alpha_1024=0)
    for _ in range(120):
        connection.fill()
        connection.now += 100_000
        packets = len(connection.out)
        connection.ack(packets, marks=round(packets * share))
    assert dctcp.alpha / DCTCP_ALPHA_ONE == pytest.approx(share, abs=0.1)


def test_a_mark_reduces_by_half_of_alpha_and_only_once_a_window() -> None:
    """3.3: cwnd (1 - Alpha/2); at most once for every window of data."""
    connection, dctcp = avoiding(100, alpha_1024=512)
    connection.fill()
    connection.ack(1)
    alpha = dctcp.alpha
    for _ in range(20):
        connection.ack(1, marks=1)
    assert dctcp.window_bytes == pytest.approx(100 * PACKET * (1 - alpha / DCTCP_ALPHA_ONE / 2), abs=1)
    assert dctcp.ssthresh_bytes == dctcp.window_bytes


def test_the_window_after_a_reduction_does_not_grow_and_may_be_reduced_again() -> None:
    connection, dctcp = avoiding(100)
    connection.fill()
    connection.ack(50, marks=1)
    reduced = dctcp.window_bytes
    assert reduced == pytest.approx(50 * PACKET, rel=0.07)
    connection.ack(50)
    assert dctcp.window_bytes == reduced
    connection.fill()
    connection.ack(1, marks=1)
    assert dctcp.window_bytes < reduced


def test_congestion_avoidance_adds_a_packet_a_round() -> None:
    connection, dctcp = avoiding(20)
    for _ in range(10):
        connection.round()
    assert dctcp.window_bytes == 30 * PACKET


def test_slow_start_doubles_until_the_first_mark() -> None:
    connection = Connection(Dctcp)
    dctcp = connection.controller
    connection.round()
    connection.round()
    assert dctcp.window_bytes == 40 * PACKET
    connection.round(marks=1)
    assert dctcp.state == "reduced"
    connection.round()
    before = dctcp.window_bytes
    assert before is not None
    connection.round()
    assert dctcp.window_bytes == before + PACKET


def test_a_loss_halves_and_its_end_lets_the_window_grow() -> None:
    """3.5: loss as any TCP."""
    connection, dctcp = avoiding(100, alpha_1024=0)
    connection.fill()
    dctcp.handle_loss(Loss(PACKET, is_timeout=False), 0)
    assert (dctcp.window_bytes, dctcp.state) == (50 * PACKET, "recovery")
    connection.ack(10, marks=10)
    assert dctcp.window_bytes == 50 * PACKET
    dctcp.handle_recovered(0)
    assert dctcp.state == "congestion avoidance"


def test_a_timeout_leaves_one_packet_and_slow_start_to_half() -> None:
    connection, dctcp = avoiding(100)
    connection.fill()
    dctcp.handle_loss(Loss(PACKET, is_timeout=True), 0)
    assert (dctcp.window_bytes, dctcp.ssthresh_bytes, dctcp.state) == (PACKET, 50 * PACKET, "slow start")


def test_a_spurious_loss_is_undone() -> None:
    connection, dctcp = avoiding(100)
    connection.fill()
    dctcp.handle_loss(Loss(PACKET, is_timeout=False), 0)
    dctcp.handle_spurious_loss(0)
    assert dctcp.window_bytes == 100 * PACKET


def test_a_recovery_that_a_stack_begins_from_a_mark_is_not_a_loss() -> None:
    connection, dctcp = avoiding(100)
    connection.fill()
    dctcp.handle_loss(Loss(0, is_timeout=False, is_mark=True), 0)
    assert dctcp.window_bytes == 100 * PACKET


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(LocalError, match="counts what is delivered"):
        Dctcp(Flow(line_rate_bps=1, packet_bytes=1))
    with pytest.raises(LocalError, match="g is above 0"):
        DctcpParameters(g_1024=0)
    with pytest.raises(LocalError, match="maximum_bytes"):
        DctcpParameters(maximum_bytes=-1)
