"""Careful resume (RFC 9959): the jump, what ends it, and the retreat; on a path of 40 Mbit/s and 600 ms."""

from __future__ import annotations

from typing import Any

import pytest

from stacks.congestion import Cubic, Flow, Reno
from stacks.congestion.careful_resume import PHASES, CarefulResume, Phase
from stacks.congestion.path_memory import PathMemory, SavedPath
from stacks.congestion.windowed import WindowedController
from stacks.runtime import LocalError
from tests.stacks.model.rig import MS, PACKET, SECOND, Rig

RATE_BPS, RTT_MS = 40_000_000, 600
BDP = RATE_BPS // 8 * RTT_MS // 1000
SAVED = SavedPath(BDP, RTT_MS * MS, 0)


class Watched(CarefulResume):
    """One that notes its phases, with time and window, and the most that was in flight."""

    def __init__(self, flow: Flow, inner: WindowedController, saved: SavedPath | None, **options: Any) -> None:
        self.phases: list[tuple[str, int, int, int]] = []
        super().__init__(flow, inner, saved, **options)

    def handle_sent(self, length_bytes: int, now: int) -> None:
        super().handle_sent(length_bytes, now)
        self._note(now)

    def handle_ack(self, ack: Any, now: int) -> None:
        super().handle_ack(ack, now)
        self._note(now)

    def handle_loss(self, loss: Any, now: int) -> None:
        super().handle_loss(loss, now)
        self._note(now)

    def handle_recovered(self, now: int) -> None:
        super().handle_recovered(now)
        self._note(now)

    def names(self) -> list[str]:
        return [name for name, *_ in self.phases]

    def _note(self, now: int) -> None:
        name = self.phase.value
        if not self.phases or self.phases[-1][0] != name:
            self.phases.append((name, now, self.window_bytes or 0, self.pipe_bytes))


def path(saved: SavedPath | None = SAVED, *, inner: type = Reno, **options: Any) -> Rig:
    limits = {name: options.pop(name) for name in ("max_jump_bytes",) if name in options}
    rate_bps = options.pop("rate_bps", RATE_BPS)
    delay_ns = options.pop("delay_ns", RTT_MS * MS // 2)
    return Rig(
        lambda flow: Watched(flow, inner(flow), saved, **limits),
        rate_bps=rate_bps, delay_ns=delay_ns, limit_packets=options.pop("limit_packets", 2000), **options,
    )  # fmt: skip


def watched(rig: Rig) -> Watched:
    assert isinstance(rig.controller, Watched)
    return rig.controller


@pytest.mark.parametrize("inner", [Reno, Cubic])
def test_a_path_that_is_as_it_was_is_used_at_once(inner: type) -> None:
    """3.2 to 3.4: initial data, the jump, its validation, and the controller as ever."""
    rig = path(inner=inner)
    rig.flow.write(1 << 40)
    rig.run_ms(3_000)
    controller = watched(rig)
    assert controller.names() == ["reconnaissance", "unvalidated", "validating", "normal"]
    (_, entered_ns, window_bytes, pipe_bytes) = controller.phases[1]
    assert RTT_MS * MS < entered_ns < 1.1 * RTT_MS * MS
    assert window_bytes == BDP // 2
    assert pipe_bytes <= 20 * PACKET  # what slow start had out
    (_, validating_ns, _, _) = controller.phases[2]
    assert validating_ns - entered_ns <= 1.05 * RTT_MS * MS
    (_, normal_ns, normal_bytes, _) = controller.phases[3]
    assert normal_ns - validating_ns <= 1.2 * RTT_MS * MS
    assert normal_bytes >= BDP // 2
    assert rig.sender.lost_packets == 0


def test_the_jump_is_paced_over_a_round_trip() -> None:
    """3.3: no more in any tenth of the round trip than a tenth of the jump, and two packets."""
    rig = path()
    rig.flow.write(1 << 40)
    rig.run_ms(2 * RTT_MS - 20)
    _, entered_ns, _, _ = watched(rig).phases[1]
    times = [packet.sent_ns for packet in rig.sent if packet.sent_ns >= entered_ns]
    tenth_ns = RTT_MS * MS // 10
    for start_ns in range(entered_ns, entered_ns + 9 * tenth_ns, tenth_ns):
        sent = sum(PACKET for time_ns in times if start_ns <= time_ns < start_ns + tenth_ns)
        assert sent <= BDP // 2 // 10 + 3 * PACKET


def test_five_megabytes_take_far_less_time() -> None:
    """RFC 9959 1.2 tells of 5.3 MB over a satellite in 4 s instead of 9."""
    with_memory = path().transfer(5_300_000, within_s=20)
    without = path(None).transfer(5_300_000, within_s=20)
    assert with_memory < 0.6 * without


def test_no_more_than_the_most_is_jumped_to() -> None:
    rig = path(max_jump_bytes=300_000)
    rig.flow.write(1 << 40)
    rig.run_ms(2_000)
    assert watched(rig).phases[1][2] == 300_000


@pytest.mark.parametrize(
    ("saved_ms", "expected"), [(1_210, "normal"), (1_190, "unvalidated"), (61, "unvalidated"), (59, "normal")]
)
def test_a_path_with_other_round_trips_is_another(saved_ms: int, expected: str) -> None:
    """3.2, 4.2.1: not at half of the saved round trip or below, nor above ten times it."""
    rig = path(SavedPath(BDP, saved_ms * MS, 0))
    rig.flow.write(1 << 40)
    rig.run_ms(1_000)
    assert watched(rig).names()[1] == expected


def test_a_loss_of_the_initial_data_ends_it() -> None:
    rig = path(forward=lambda index, _: [] if index == 3 else [0])
    rig.flow.write(1 << 40)
    rig.run_ms(4_000)
    assert watched(rig).names() == ["reconnaissance", "normal"]


def test_who_has_nothing_more_to_send_does_not_jump() -> None:
    """3.2: the jump may wait until more is sent than the window lets."""
    rig = path()
    rig.transfer(8 * PACKET, within_s=5)
    rig.run_ms(3_000)
    assert watched(rig).phase is Phase.RECONNAISSANCE


def test_who_does_not_use_the_jump_keeps_what_got_through() -> None:
    """3.3: rate-limited; the window is what was validated."""
    rig = path()
    rig.flow.write(40 * PACKET)
    rig.run_ms(6_000)
    controller = watched(rig)
    assert controller.names()[:2] == ["reconnaissance", "unvalidated"]
    assert controller.phase is Phase.NORMAL
    assert rig.controller.window_bytes is not None
    assert rig.controller.window_bytes < BDP // 8


def test_a_jump_that_was_too_far_ends_in_a_retreat() -> None:
    """3.5: to no more than half of what got through, no growth, and then an ssthresh of half of it."""
    rig = path(rate_bps=RATE_BPS // 10, limit_packets=60)
    rig.flow.write(1 << 40)
    rig.run_ms(2_500)
    controller = watched(rig)
    assert controller.names()[:4] == ["reconnaissance", "unvalidated", "validating", "safe retreat"]
    _, retreat_ns, window_bytes, pipe_bytes = controller.phases[3]
    assert window_bytes <= pipe_bytes // 2
    while controller.phase is Phase.SAFE_RETREAT:
        assert controller.window_bytes == window_bytes
        rig.run_ms(20)
        assert rig.timeline.now - retreat_ns < 6 * SECOND
    inner = controller.inner
    assert inner.ssthresh_bytes <= controller.pipe_bytes // 2
    assert inner.window_bytes <= inner.ssthresh_bytes + 20 * PACKET


@pytest.mark.slow
def test_an_idle_capacity_is_observed_in_bytes_of_a_round_trip() -> None:
    """3.1: saved_cwnd is what got through in one round trip."""
    rig = path(None)
    rig.flow.write(1 << 40)
    rig.run_ms(12_000)
    assert BDP * 0.9 < watched(rig).observed_bytes < BDP * 1.6  # with the queue that slow start left


def test_memory_is_taken_by_one_and_ends() -> None:
    memory = PathMemory(lifetime_ns=300 * SECOND, size=2)
    memory.save("a", SavedPath(1, 1, 10 * SECOND))
    assert memory.take("b", 11 * SECOND) is None
    assert memory.take("a", 310 * SECOND) is not None
    assert memory.take("a", 310 * SECOND) is None
    memory.save("a", SavedPath(1, 1, 10 * SECOND))
    assert memory.take("a", 310 * SECOND + 1) is None
    for name in "abc":
        memory.save(name, SavedPath(1, 1, 0))
    assert [memory.take(name, 0) is None for name in "abc"] == [True, False, False]


def test_the_whole_machine() -> None:
    assert PHASES.render().splitlines()[1:] == [
        line.rstrip()
        for line in """\
PATH_CONFIRMED  UNVALIDATED     drop          drop          drop          drop
PATH_CHANGED    NORMAL          SAFE_RETREAT  drop          drop          drop
CONGESTION      NORMAL          SAFE_RETREAT  SAFE_RETREAT  ignore        ignore
PERSISTENT      NORMAL          NORMAL        NORMAL        NORMAL        NORMAL
JUMP_SENT       drop            VALIDATING    drop          drop          drop
RATE_LIMITED    drop            NORMAL        drop          drop          drop
ALL_KNOWN       drop            drop          NORMAL        NORMAL        drop
""".splitlines()
    ]


def test_it_needs_counts_of_what_is_delivered() -> None:
    flow = Flow(line_rate_bps=1, packet_bytes=PACKET)
    with pytest.raises(LocalError, match="Flow.delivery"):
        CarefulResume(flow, Reno(flow), None)
