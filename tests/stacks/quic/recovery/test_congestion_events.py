"""What a path's controller is told, when, and in which order (RFC 9002 7, `stacks.congestion.controller`)."""

from __future__ import annotations

from stacks.congestion import Controller, Cubic, Flow
from stacks.quic.levels import SPACE_APPLICATION, SPACE_HANDSHAKE
from tests.stacks.quic.recovery.rig import MS, SECOND, SIZE, Rig


def test_the_initial_window_is_ten_packets_or_14720_bytes() -> None:
    """7.2."""
    assert Rig().path.delivery.initial_window_bytes == 12_000


def test_losses_of_one_round_are_one_event_and_end_with_a_packet_that_was_sent_later() -> None:
    """7.3.2: a recovery ends when a packet is acknowledged that was sent in it, at the same instant or later."""
    rig = Rig()
    rig.send(0, 20)
    rig.ack(50 * MS, (3, 5))
    assert rig.controller.hear() == ["loss", "lost packet", "lost packet", "lost packet", "ack"]
    rig.send(50 * MS, 5)
    rig.ack(51 * MS, (10, 12), (3, 5))
    assert rig.controller.hear() == ["lost packet"] * 4 + ["ack"]
    rig.ack(100 * MS, (10, 20), (3, 5))
    assert rig.controller.hear() == ["recovered", "ack"]
    rig.ack(101 * MS, 24, (10, 20), (3, 5))
    assert rig.controller.hear() == ["loss", "lost packet", "ack"]


def test_a_loss_tells_how_much_and_each_packet() -> None:
    rig = Rig()
    rig.send(0, 10)
    rig.ack(50 * MS, (4, 9))
    (loss,) = rig.controller.losses
    assert (loss.lost_bytes, loss.is_timeout, loss.is_persistent) == (4 * SIZE, False, False)
    assert rig.controller.lost_numbers == [0, 1, 2, 3]
    (ack,) = rig.controller.acks
    assert (ack.acked_bytes, ack.lost_bytes, ack.inflight_bytes, ack.rtt_ns) == (6 * SIZE, 4 * SIZE, 0, 50 * MS)


def test_a_loss_by_time_counts_in_the_next_acknowledgement() -> None:
    rig = Rig()
    rig.send(0, 2)
    rig.send(MS)
    rig.ack(80 * MS, 1)
    rig.recovery.handle_timeout(90 * MS)
    rig.ack(91 * MS, (1, 2))
    assert [ack.lost_bytes for ack in rig.controller.acks] == [0, SIZE]


def example(*, until: int = 9) -> Rig:
    """RFC 9002 7.6.3 before the last line: packets 1 to 9 left; 1 is acknowledged, and a probe timeout is 2 s.

    Its seconds count from 10 s on. A round trip was known before (7.6.2); that of packet 9, 0.2 s, leaves the timeout
    at 2 s: 0.2 + 4 * 0.45.
    """
    rig = Rig(max_ack_delay_ms=0)
    rig.send(0, 2)  # packet 0 here is nobody in the example, so that the numbers are the example's
    rig.ack(200 * MS, 0)
    rig.recovery.discard(SPACE_APPLICATION, 200 * MS)
    for number, time_s in enumerate((0, 1, 2, 3, 4, 5, 6, 8, 12)[:until], 2):
        if time_s == 2:
            rig.ack(11_200 * MS, 2)
            rtt = rig.path.rtt
            rtt.smoothed_ns, rtt.variation_ns = 200 * MS, 600 * MS
        assert rig.send((10 + time_s) * SECOND) == number
    rig.controller.hear()
    return rig


def test_the_example_of_persistent_congestion() -> None:
    """7.6.3: packets 2 to 8 are lost, the first and the last of which left 7 s apart, which is more than 6."""
    rig = example()
    rig.ack(22_200 * MS, 10)
    assert rig.recovery.pto_ns() == 2 * SECOND
    assert rig.controller.hear() == ["persistent", *["lost packet"] * 7, "ack"]
    assert rig.controller.lost_numbers == [3, 4, 5, 6, 7, 8, 9]


def test_a_packet_between_them_that_arrived_breaks_it() -> None:
    rig = example()
    rig.ack(22_200 * MS, 10, 6)
    assert rig.controller.hear() == ["loss", *["lost packet"] * 6, "ack"]


def test_an_acknowledgement_in_another_space_breaks_it_as_well() -> None:
    """7.6.2: across all packet number spaces."""
    rig = example(until=5)
    rig.send(15 * SECOND, space=SPACE_HANDSHAKE)
    for time_s in (15, 16, 18, 22):
        rig.send(time_s * SECOND)
    rig.ack(22_100 * MS, 0, space=SPACE_HANDSHAKE)
    rig.path.rtt.smoothed_ns, rig.path.rtt.variation_ns = 200 * MS, 600 * MS
    rig.controller.hear()
    rig.ack(22_200 * MS, 10)
    assert rig.controller.hear() == ["loss", *["lost packet"] * 7, "ack"]


def test_packets_that_ask_for_nothing_neither_break_it_nor_make_it() -> None:
    rig = example(until=5)
    rig.send(14_100 * MS, is_ack_eliciting=False, is_in_flight=False)
    rig.send(14_200 * MS, is_ack_eliciting=False)  # PADDING alone
    rig.send(14_300 * MS, is_mtu_probe=True)
    for time_s in (15, 16, 18, 22):
        rig.send(time_s * SECOND)
    rig.ack(22_200 * MS, 13)
    assert rig.controller.hear()[0] == "persistent"
    rig = example(until=5)
    for time_s in (15, 16):
        rig.send(time_s * SECOND)
    rig.send(18 * SECOND, is_ack_eliciting=False)  # the last that is lost, but it did not ask
    rig.send(22 * SECOND)
    rig.ack(22_200 * MS, 10)
    assert rig.controller.hear()[0] == "loss"


def test_at_the_duration_itself_it_is_none() -> None:
    """7.6.2: it has to exceed the duration; a probe timeout of 7/3 s makes one of 7."""
    exact_ns = 600 * MS + SECOND // 9
    for variation_ns, expected in ((exact_ns + 1, "loss"), (exact_ns - 9, "persistent")):
        rig = example()
        rig.path.rtt.variation_ns = variation_ns
        rig.ack(22_200 * MS, 10)
        assert rig.controller.hear()[0] == expected


def test_persistent_congestion_leaves_two_packets_of_window() -> None:
    """7.6.2: kMinimumWindow."""
    rig = Rig(max_ack_delay_ms=0, controller=Cubic)
    rig.send(0)
    rig.ack(100 * MS, 0)
    rig.send(200 * MS)
    rig.send(5_000 * MS, 5)
    rig.ack(5_100 * MS, 6)
    assert rig.path.controller.window_bytes == 2 * SIZE


def test_an_unnecessary_recovery_is_undone_when_its_last_packet_turns_up() -> None:
    rig = Rig()
    rig.send(0, 20)
    rig.ack(50 * MS, (4, 9))
    assert rig.path.is_recovering
    rig.ack(51 * MS, (1, 9))
    assert rig.path.is_recovering
    rig.ack(52 * MS, (0, 9))
    assert not rig.path.is_recovering
    assert rig.controller.hear().count("spurious") == 1


def test_a_packet_of_an_earlier_event_does_not_undo_the_present_one() -> None:
    rig = Rig()
    rig.send(0, 10)
    rig.ack(50 * MS, (2, 9))  # 0 and 1 are lost
    rig.send(50 * MS, 10)
    rig.ack(100 * MS, (11, 19), (2, 9))  # 10 is lost: another event
    assert rig.controller.hear().count("loss") == 2
    rig.ack(101 * MS, (11, 19), (1, 9))
    assert "spurious" not in rig.controller.hear()
    rig.ack(102 * MS, (10, 19), (1, 9))
    assert "spurious" in rig.controller.hear()


def test_reordering_that_was_seen_is_waited_for() -> None:
    """6.1.1: the threshold becomes what the path does."""
    rig = Rig()
    rig.send(0, 20)
    rig.ack(50 * MS, (6, 7))
    rig.ack(50 * MS, (6, 7), 0)
    assert rig.path.thresholds.packets == 8
    rig.ack(51 * MS, (6, 15), 0)
    assert rig.recovery.lost_packets == 6


class Slow(Controller):
    """A controller that paces: 12 Mbit/s, 1200 bytes a millisecond or so, two packets at once."""

    def __init__(self, flow: Flow) -> None:
        self.rate_bps = 9_600_000
        self.send_quantum_bytes = 2 * flow.packet_bytes
        self.due_ns: int | None = 7 * MS
        self.timeouts: list[int] = []

    def handle_timeout(self, now: int) -> None:
        if self.due_ns is not None and now >= self.due_ns:
            self.timeouts.append(now)
            self.due_ns = None

    def poll_deadline(self) -> int | None:
        return self.due_ns


def test_the_pacer_lets_a_quantum_leave_and_then_waits_for_its_time() -> None:
    rig = Rig(controller=Slow)
    sent = 0
    while rig.path.may_send(0):
        rig.send(0)
        sent += 1
    assert sent == 2
    assert rig.path.end_burst(0, has_more=True) == 2 * MS
    assert not rig.path.may_send(2 * MS - 1)
    assert rig.path.may_send(2 * MS)


def test_what_is_left_of_a_quantum_does_not_pass_the_pacer_later() -> None:
    rig = Rig(controller=Slow)
    assert rig.path.may_send(0)
    rig.send(0)
    rig.path.end_burst(0, has_more=False)
    assert not rig.path.may_send(MS // 2)


def test_who_has_nothing_to_send_is_limited_by_the_application() -> None:
    """7.8, draft-ietf-ccwg-bbr 4.1.2.4."""
    rig = Rig()
    rig.path.end_burst(0, has_more=False)
    rig.send(0)
    rig.ack(50 * MS, 0)
    assert rig.controller.acks[0].is_app_limited
    rig.path.end_burst(50 * MS, has_more=True)
    rig.send(50 * MS)
    rig.ack(100 * MS, 1)
    assert not rig.controller.acks[1].is_app_limited


def test_the_window_counts_as_limit_only_when_something_waits_for_it() -> None:
    rig = Rig(controller=Cubic)
    while rig.path.may_send(0):
        rig.send(0)
    assert rig.path.delivery.inflight_bytes == 10 * SIZE
    rig.path.end_burst(0, has_more=False)
    assert not rig.path.delivery.is_cwnd_limited
    rig.path.end_burst(0, has_more=True)
    assert rig.path.delivery.is_cwnd_limited


def test_a_controllers_own_deadline_is_kept() -> None:
    rig = Rig(controller=Slow)
    assert rig.recovery.poll_deadline() == 7 * MS
    rig.recovery.handle_timeout(7 * MS)
    controller = rig.path.controller
    assert isinstance(controller, Slow)
    assert controller.timeouts == [7 * MS]
    assert rig.recovery.poll_deadline() is None
