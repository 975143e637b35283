"""Application-limited marks: which samples say something of the path (draft-ietf-ccwg-bbr 4.1.2.4)."""

from __future__ import annotations

from tests.stacks.model.rig import MS, PACKET, Recorder, Rig


def limited(rig: Rig) -> list[bool]:
    return [ack.is_app_limited for ack in rig.controller.acks if ack.delivery_rate_bps]  # type: ignore[attr-defined]


def test_a_bulk_transfer_is_not_limited_by_its_application() -> None:
    rig = Rig(Recorder)
    rig.flow.write(1 << 30)
    rig.run_ms(1000)
    marks = limited(rig)
    assert len(marks) > 100
    # But for the first window, before which there was nothing to send: 20 packets, two an acknowledgement.
    assert not any(marks[10:])


def test_a_trickle_is_always() -> None:
    rig = Rig(Recorder)
    for _ in range(50):
        rig.flow.write(PACKET)
        rig.run_ms(20)
    # The very first packets know of no pause before them.
    assert all(limited(rig)[2:])


def test_after_a_pause_a_bulk_transfer_is_limited_for_a_round_and_no_longer() -> None:
    rig = Rig(Recorder)
    rig.transfer(30 * PACKET, within_s=2)
    rig.run_ms(500)
    rig.controller.acks.clear()  # type: ignore[attr-defined]
    rig.flow.write(1 << 30)
    rig.run_ms(1000)
    marks = limited(rig)
    # One window was sent before anything of it was delivered: 20 packets, two an acknowledgement.
    assert marks[:10] == [True] * 10
    assert not any(marks[11:])


def test_a_full_window_is_not_the_applications_doing() -> None:
    """The last packet of the data filled the window: the window held back what would have come."""
    rig = Rig(Recorder)
    rig.flow.write(20 * PACKET)
    rig.run_ms(1)
    assert rig.delivery.inflight_bytes == 20 * PACKET
    assert rig.delivery.app_limited <= 1  # the mark of the very first write
    rig.run_ms(60)
    assert rig.delivery.app_limited > 1


def test_a_window_that_held_back_is_remembered_for_a_round() -> None:
    rig = Rig(Recorder)
    rig.flow.write(25 * PACKET)
    assert rig.delivery.is_cwnd_limited
    rig.run_ms(300)
    assert rig.sender.is_done
    rig.flow.write(PACKET)
    rig.run_ms(300 * MS // MS)
    assert not rig.delivery.is_cwnd_limited
