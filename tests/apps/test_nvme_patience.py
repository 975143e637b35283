"""What a person is told of a namespace that no path may use, and when waiting for it ends."""

from __future__ import annotations

import pytest

from apps.nvme.outages import Outages
from apps.nvme.patience import limit_s
from stacks.nvme.host import NO_RECONNECT, ReconnectPolicy
from stacks.nvme.host.ana import CHANGE, INACCESSIBLE, OPTIMIZED
from tests.stacks.nvme.multipath_rig import Two
from tests.stacks.nvme.scripted import SECOND


class Watched(Two):
    """Two paths, and what a command says of them."""

    def __init__(self, **patience: float) -> None:
        super().__init__(ana=True, **patience)
        self.outages = Outages(self.multipath, self)

    def now(self) -> int:
        return self.connector.now


def test_an_inaccessible_namespace_is_told_after_a_second_and_given_up_in_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    two = Watched(fast_io_fail_tmo=5)
    two.ana(INACCESSIBLE, INACCESSIBLE)
    transfers = [two.read(block) for block in range(2)]
    two.connector.advance(SECOND - 1)
    assert capsys.readouterr().err == ""
    two.connector.advance(1)
    said = "baremetal: waiting: namespace 1 is inaccessible on every path (ANA); trying for 5 seconds\n"
    assert capsys.readouterr().err == said
    for _ in range(3):
        two.connector.advance(SECOND)
    assert not any(transfer.is_done for transfer in transfers)
    two.connector.advance(SECOND)
    reason = "namespace 1 is inaccessible on every path (ANA); given up after 5 seconds"
    assert [transfer.ending for transfer in transfers] == [reason] * 2
    late = two.read()
    assert late.ending == reason
    assert capsys.readouterr().err == ""


def test_another_state_ends_the_waiting_and_its_time_begins_anew(capsys: pytest.CaptureFixture[str]) -> None:
    two = Watched(fast_io_fail_tmo=3)
    two.ana(INACCESSIBLE, CHANGE)
    first = two.read()
    for _ in range(3):
        two.connector.advance(SECOND)
    assert first.is_done
    assert "changes its state on every path (ANA); trying for 3 seconds" in capsys.readouterr().err
    two.ana(INACCESSIBLE, OPTIMIZED)
    second = two.read()
    assert not second.is_done
    assert two.held == (0, 1)
    two.ana(INACCESSIBLE, INACCESSIBLE)
    third = two.read()
    two.connector.advance(SECOND)
    assert not third.is_done
    assert "is inaccessible on every path (ANA); trying for 3 seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (NO_RECONNECT, 30),
        (ReconnectPolicy(ctrl_loss_tmo=60), 60),
        (ReconnectPolicy(ctrl_loss_tmo=60, fast_io_fail_tmo=2), 2),
        (ReconnectPolicy(ctrl_loss_tmo=-1), None),
        (ReconnectPolicy(ctrl_loss_tmo=-1, fast_io_fail_tmo=0), 0),
    ],
)
def test_the_time_is_that_of_a_path_that_is_lost(policy: ReconnectPolicy, seconds: float | None) -> None:
    assert limit_s(policy) == seconds
