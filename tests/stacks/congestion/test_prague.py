"""Prague by hand against Linux's tcp_prague and the draft it comes from."""

from __future__ import annotations

import itertools

import pytest

from stacks.congestion import Flow, Loss, Prague, PragueParameters
from stacks.congestion.prague import PRAGUE_ALPHA_ONE, WINDOW_ONE
from stacks.runtime import LocalError
from tests.stacks.congestion.acks import PACKET, Connection

ONE = PACKET * WINDOW_ONE
RTT = 100_000_000
"""Above the target: no scaling."""


def prague(packets: int = 100, **parameters: int) -> tuple[Connection, Prague]:
    connection = Connection(lambda flow: Prague(flow, PragueParameters(**parameters)), initial_packets=packets)
    assert isinstance(connection.controller, Prague)
    return connection, connection.controller


def settled(packets: int = 100, rtt_ns: int = RTT) -> tuple[Connection, Prague]:
    """In congestion avoidance, with `packets` and the rounds behind it that make it RTT independent."""
    connection, controller = prague(2 * packets)
    connection.round(marks=1, rtt_ns=rtt_ns)
    for _ in range(8):
        connection.round(rtt_ns=rtt_ns)
    resize(connection, controller, packets * ONE)
    return connection, controller


def resize(connection: Connection, controller: Prague, window: int) -> None:
    """Give it a window, and let what follows from one follow."""
    controller.window = window
    connection.ack(0)


def test_its_packets_carry_ect1() -> None:
    """RFC 9331 4.1."""
    assert prague()[1].ecn == 1


def test_slow_start_doubles_and_the_first_mark_halves() -> None:
    connection, controller = prague(10)
    connection.round(rtt_ns=RTT)
    assert controller.window == 20 * ONE
    connection.fill()
    connection.now += RTT
    connection.ack(1, marks=1)
    assert controller.window == 10 * ONE
    assert controller.state == "congestion avoidance"


def test_without_marks_the_window_grows_by_a_packet_a_round() -> None:
    connection, controller = settled()
    connection.round(rtt_ns=RTT)
    assert controller.window / ONE == pytest.approx(101, rel=1e-3)


def test_marked_data_does_not_grow_the_window_but_the_rest_does() -> None:
    """Additive increase by unmarked data only, also in the round of a reduction."""
    connection, controller = settled()
    controller.upscaled_alpha = 0
    connection.fill()
    connection.now += RTT
    for index in range(100):
        connection.ack(marks=int(index % 2 == 0), rtt_ns=RTT)
    assert controller.window / ONE == pytest.approx(100.5, rel=1e-3)


def test_alpha_is_an_average_of_shares_with_gain_a_sixteenth() -> None:
    connection, controller = settled()
    for share in (0, 2, 2):
        if not share:
            controller.upscaled_alpha = 0
        connection.fill()
        connection.now += RTT
        packets = len(connection.out)
        connection.ack(packets, marks=packets // share if share else 0, rtt_ns=RTT)
    assert controller.alpha / PRAGUE_ALPHA_ONE == pytest.approx(0.5 * (1 - (15 / 16) ** 2), rel=0.02)


def test_a_reduction_is_half_of_alpha_and_happens_once_a_round() -> None:
    connection, controller = settled()
    controller.upscaled_alpha = PRAGUE_ALPHA_ONE // 2 << 4
    connection.fill()
    connection.now += RTT
    for _ in range(10):
        connection.ack(marks=1)
    # Of which the first acknowledgement ended a round, with a first mark: alpha is a little off a half.
    assert controller.window / ONE == pytest.approx(75, rel=0.02)


def test_short_round_trips_grow_by_the_square_of_their_ratio_to_the_target() -> None:
    """RTT independence: 5 ms against 25 ms is 1/25 packet a round, 1/5 packet a target round."""
    connection, controller = settled(rtt_ns=5_000_000)
    for _ in range(24):
        connection.round(rtt_ns=5_000_000)
    resize(connection, controller, 100 * ONE)
    for _ in range(5):
        connection.round(rtt_ns=5_000_000)
    assert (controller.window / ONE - 100) * 5 == pytest.approx(1, rel=0.05)


def test_short_round_trips_react_once_in_a_target_round_trip() -> None:
    connection, controller = settled(rtt_ns=5_000_000)
    for _ in range(24):
        connection.round(rtt_ns=5_000_000)
    assert controller.is_rtt_independent
    controller.upscaled_alpha = PRAGUE_ALPHA_ONE << 4
    windows = [controller.window]
    for _ in range(7):
        connection.fill()
        connection.now += 5_000_000
        packets = len(connection.out)
        connection.ack(packets, marks=packets, rtt_ns=5_000_000)
        windows.append(controller.window)
    reductions = sum([after < before * 0.7 for before, after in itertools.pairwise(windows)])
    assert reductions == 2


def test_the_rate_is_a_window_a_round_trip_within_three_percent() -> None:
    connection, controller = settled()
    connection.round(rtt_ns=RTT)
    plain = controller.window / WINDOW_ONE * 8e9 / RTT
    assert controller.rate_bps == pytest.approx(plain * (1 + 4 / 128), rel=0.002)
    connection.now += RTT * 6 // 10
    connection.ack(0)
    plain = controller.window / WINDOW_ONE * 8e9 / RTT
    assert controller.rate_bps == pytest.approx(plain * (1 - 4 / 128), rel=0.002)


def test_below_two_packets_the_rate_limits_and_the_window_does_not() -> None:
    rtt_ns = 30_000_000
    connection, controller = settled(rtt_ns=rtt_ns)
    resize(connection, controller, ONE // 2)
    assert controller.window_bytes == 2 * PACKET
    assert controller.rate_bps == pytest.approx(PACKET * 8 * 10**9 / rtt_ns / 2, rel=0.04)


def test_a_loss_halves_and_stops_growth() -> None:
    """RFC 9331 4.3: a response to loss like Reno's."""
    connection, controller = settled()
    connection.fill()
    controller.handle_loss(Loss(PACKET, is_timeout=False), connection.now)
    assert controller.window == 50 * ONE
    connection.ack(20, rtt_ns=RTT)
    assert controller.window == 50 * ONE
    controller.handle_spurious_loss(connection.now)
    assert controller.window == 100 * ONE


def test_on_a_classic_queue_marks_may_be_taken_for_losses() -> None:
    """RFC 9331 4.3, by configuration."""
    connection, controller = prague(200, classic_ecn=True)
    connection.round(marks=1, rtt_ns=RTT)
    before = controller.window
    connection.fill()
    connection.now += RTT
    connection.ack(1, marks=1)
    assert controller.window == pytest.approx(before / 2, rel=0.01)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(LocalError, match="counts what is delivered"):
        Prague(Flow(line_rate_bps=1, packet_bytes=1))
    with pytest.raises(LocalError, match="gain_shift"):
        PragueParameters(gain_shift=17)
    with pytest.raises(LocalError, match="pacing_offset_128"):
        PragueParameters(pacing_offset_128=128)
    with pytest.raises(LocalError, match="burst_ns"):
        PragueParameters(burst_ns=-1)
    with pytest.raises(LocalError, match="minimum_bps"):
        PragueParameters(minimum_bps=0)
