"""trio as the guest of a loop of our own."""

from __future__ import annotations

import select

import pytest
import trio

from apps.guest import TrioGuest


def run(guest: TrioGuest, *, turns: int = 10_000) -> None:
    """Turn a guest until it is over, waiting for its bell in between."""
    poller = select.poll()
    poller.register(guest.fileno(), select.POLLIN)
    for _ in range(turns):
        if guest.is_over:
            break
        poller.poll(50_000)
        guest.turn()
    guest.result()


def test_tasks_have_their_turns_and_the_end_is_seen() -> None:
    seen = []

    async def main() -> None:
        for number in range(5):
            seen.append(number)
            await trio.sleep(0.001)

    run(TrioGuest(main))
    assert seen == list(range(5))


def test_what_a_task_raises_comes_out() -> None:
    async def main() -> None:
        await trio.lowlevel.checkpoint()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(TrioGuest(main))


def test_a_guest_that_is_told_to_end_ends_in_order() -> None:
    ended = []

    async def main() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(True)

    guest = TrioGuest(main)
    for _ in range(3):
        guest.turn()
    guest.cancel()
    guest.cancel()
    run(guest)
    assert ended == [True]
    guest.cancel()


def test_one_that_is_told_before_its_first_turn_ends_too() -> None:
    guest = TrioGuest(trio.sleep_forever)
    guest.cancel()
    run(guest)
