"""CUBIC: RFC 9438, section by section, told acknowledgement by acknowledgement."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stacks.congestion import Cubic, Delivery
from stacks.congestion.cubic import cubic_root
from tests.stacks.congestion.told import MS, PACKET, SECOND, ack, flow, lose, lose_and_recover, rounds


def at_window(
    packets: int, *, srtt_ns: int = 0, hystart: bool = False, is_linux: bool = False
) -> tuple[Cubic, Delivery]:
    """A flow with a window, which always limits it, and delivery totals only for its round-trip time."""
    made = flow(with_delivery=True)
    assert made.delivery is not None
    made.delivery.srtt_ns = srtt_ns
    made.delivery.inflight_bytes = 1 << 40
    made.delivery.cwnd_limited()
    cubic = Cubic(made, hystart=hystart, is_linux=is_linux)
    cubic.window_bytes = packets * PACKET
    return cubic, made.delivery


@given(st.integers(0, 1 << 100))
def test_the_cubic_root_is_exact(value: int) -> None:
    root = cubic_root(value)
    assert root**3 <= value < (root + 1) ** 3


def test_a_loss_reduces_to_seven_tenths_and_k_is_the_time_back() -> None:
    """4.2: K = cubic root of (W_max - cwnd_epoch) / C: with 100 packets, of 30 / 0.4 s^3, 4.217 s."""
    cubic, _ = at_window(100)
    lose_and_recover(cubic, SECOND)
    assert (cubic.window_bytes, cubic.ssthresh_bytes, cubic.w_max_bytes) == (70 * PACKET, 70 * PACKET, 100 * PACKET)
    assert cubic.k_us == 4_217_163
    assert cubic.epoch_ns == SECOND


def test_the_window_follows_the_cubic_function() -> None:
    """4.2: W(t) = 0.4 (t - K)^3 + W_max, a round trip ahead; a second each, where Reno would be slower."""
    rtt_ns = 100 * MS
    cubic, _ = at_window(1000, srtt_ns=rtt_ns)
    lose_and_recover(cubic, 0)
    k = (300 / 0.4) ** (1 / 3)
    for now in range(rtt_ns, 15 * SECOND, rtt_ns):
        window = cubic.window_bytes // PACKET
        for index in range(0, window, 2):
            ack(cubic, 2, now + rtt_ns * index // window)
        t = (now + 2 * rtt_ns) / SECOND  # at the end of the round, and a round trip ahead
        expected = 0.4 * (t - k) ** 3 + 1000
        # It takes a round trip for the window to get where the function is.
        behind = 0.4 * (t - 0.2 - k) ** 3 + 1000
        assert min(behind, expected) - 2 <= cubic.window_bytes / PACKET <= max(behind, expected) + 2
    assert cubic.window_bytes > 1000 * PACKET


def test_the_target_is_one_and_a_half_windows_at_most() -> None:
    cubic, _ = at_window(100, srtt_ns=10 * MS)
    lose_and_recover(cubic, 0)
    before = cubic.window_bytes
    ack(cubic, before / PACKET, 1000 * SECOND)
    assert cubic.window_bytes == before * 3 // 2


def test_where_round_trips_are_short_the_window_is_renos() -> None:
    """4.3: alpha is 9/17 packets a round until W_est is at cwnd_prior, then one."""
    cubic, _ = at_window(20, srtt_ns=MS)
    lose_and_recover(cubic, 0)
    assert cubic.window_bytes == 14 * PACKET
    now = rounds(cubic, 10, 0, MS)
    assert abs(cubic.window_bytes / PACKET - (14 + 10 * 9 / 17)) < 0.5
    while cubic.w_est_bytes < 20 * PACKET:
        now = rounds(cubic, 1, now, MS)
    start = cubic.window_bytes
    rounds(cubic, 10, now, MS)
    assert abs(cubic.window_bytes - start - 10 * PACKET) < PACKET


def test_fast_convergence_gives_room_to_others() -> None:
    """4.7: a loss below the last W_max sets it to 0.85 of the window; above, to the window."""
    cubic, _ = at_window(100)
    lose_and_recover(cubic, 0)
    cubic.window_bytes = 80 * PACKET
    lose_and_recover(cubic, 1)
    assert cubic.w_max_bytes == 68 * PACKET
    assert cubic.cwnd_prior_bytes == 80 * PACKET
    cubic.window_bytes = 70 * PACKET
    lose_and_recover(cubic, 2)
    assert cubic.w_max_bytes == 70 * PACKET


def test_after_a_timeout_growth_starts_flat_from_where_slow_start_ends() -> None:
    """4.8: one packet, ssthresh 0.7, then K = 0 and W_max = cwnd."""
    cubic, _ = at_window(100)
    lose(cubic, 0, is_timeout=True)
    assert (cubic.window_bytes, cubic.ssthresh_bytes) == (PACKET, 70 * PACKET)
    now = 0
    while cubic.state == "slow start":
        now = rounds(cubic, 1, now, 10 * MS)
    assert cubic.k_us == 0
    assert cubic.w_max_bytes == 70 * PACKET
    assert cubic.w_est_bytes >= 70 * PACKET


def test_after_hystart_growth_starts_flat() -> None:
    """4.10: no loss yet: W_max and cwnd_prior are the window, and K is 0."""
    cubic, _ = at_window(50, hystart=True)
    now = 0
    for rtt_ms in (20, 20, *(80,) * 7):
        now = rounds(cubic, 1, now, rtt_ms * MS)
    assert cubic.state == "congestion avoidance"
    assert cubic.k_us == 0
    assert cubic.w_max_bytes == cubic.cwnd_prior_bytes > 50 * PACKET


def test_a_spurious_loss_gives_everything_back() -> None:
    """4.9."""
    cubic, _ = at_window(100, srtt_ns=50 * MS)
    lose_and_recover(cubic, 0)
    now = rounds(cubic, 20, 0, 50 * MS)
    before = cubic.variables() | {"cwnd": cubic.window_bytes, "epoch": cubic.epoch_ns, "prior": cubic.cwnd_prior_bytes}
    lose(cubic, now)
    ack(cubic, 4, now + MS, inflight_packets=50)
    cubic.handle_spurious_loss(now + 2 * MS)
    after = cubic.variables() | {"cwnd": cubic.window_bytes, "epoch": cubic.epoch_ns, "prior": cubic.cwnd_prior_bytes}
    assert after == before


def test_time_in_which_the_application_is_silent_does_not_count() -> None:
    """4.2, 5.8: the window grows after a pause from where it was, not from where it would be."""

    def run(pause_ns: int) -> int:
        cubic, delivery = at_window(100, srtt_ns=50 * MS)
        lose_and_recover(cubic, 0)
        now = rounds(cubic, 10, 0, 50 * MS)
        if pause_ns:
            delivery.inflight_bytes = 0
            delivery.rto_ns = 1000 * SECOND  # not the restart of RFC 5681, which is another matter
            now += pause_ns
            cubic.handle_sent(PACKET, now)
            delivery.inflight_bytes = 1 << 40
        rounds(cubic, 10, now, 50 * MS)
        return cubic.window_bytes

    assert run(0) == run(30 * SECOND)


def test_time_in_which_the_application_limits_does_not_count() -> None:
    def run(trickle_rounds: int) -> int:
        cubic, delivery = at_window(100, srtt_ns=50 * MS)
        lose_and_recover(cubic, 0)
        now = rounds(cubic, 10, 0, 50 * MS)
        delivery.delivered_bytes = 1 << 50  # beyond what the window ever held back
        for _ in range(trickle_rounds):
            now += 50 * MS
            ack(cubic, 2, now)
        delivery.delivered_bytes = 0
        rounds(cubic, 10, now, 50 * MS)
        return cubic.window_bytes

    assert run(0) == run(500)


def test_linux_keeps_alpha_where_the_rfc_makes_it_one() -> None:
    """4.3 against bictcp_update: at a short round trip, ten rounds beyond the window before the loss."""
    beyond = {}
    for is_linux in (False, True):
        cubic, _ = at_window(20, srtt_ns=MS, is_linux=is_linux)
        lose_and_recover(cubic, 0)
        now = rounds(cubic, 13, 0, MS)
        assert 20 <= cubic.window_bytes / PACKET <= 21
        before = cubic.window_bytes
        rounds(cubic, 10, now, MS)
        beyond[is_linux] = (cubic.window_bytes - before) / PACKET
    assert abs(beyond[False] - 10) < 1
    assert abs(beyond[True] - 10 * 9 / 17) < 1


def test_linux_compares_windows_in_whole_packets() -> None:
    """tcp_cubic.c counts packets: some bytes below the last W_max are no sign of another flow."""
    w_max = {}
    for is_linux in (False, True):
        cubic, _ = at_window(100, is_linux=is_linux)
        lose_and_recover(cubic, 0)
        cubic.w_max_bytes = 100 * PACKET + 10
        cubic.window_bytes = 100 * PACKET + 5
        lose(cubic, SECOND)
        w_max[is_linux] = cubic.w_max_bytes
    assert w_max == {False: (100 * PACKET + 5) * 17 // 20, True: 100 * PACKET + 5}
