"""Datagrams in memory: seeded decisions, and time that is the clock's."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from transports.clock import VirtualClock
from transports.datagram import Transmit
from transports.errors import TransportError
from transports.impairments import Impairments
from transports.memory import MemoryNetwork

NEAR, FAR = ("10.0.0.1", 1), ("10.0.0.2", 1)


def survivors(seed: int) -> list[bytes]:
    clock = VirtualClock()
    network = MemoryNetwork(seed, Impairments(loss=0.2, reordering=0.2, duplication=0.1), clock=clock, merges=False)
    near, far = network.open(NEAR), network.open(FAR)
    for number in range(100):
        near.send(Transmit([bytes([number])], 0, None, FAR))
        clock.advance(1000)
    clock.advance(1_000_000)
    received = []
    while (burst := far.receive()) is not None:
        received.append(bytes(burst.view))
    return received


def test_decisions_about_packets_are_seeded() -> None:
    assert survivors(1) == survivors(1)
    assert survivors(1) != survivors(2)
    assert survivors(1) != sorted(survivors(1))


def test_nothing_arrives_before_its_time() -> None:
    async def main() -> None:
        network = MemoryNetwork(0, Impairments(delay_ns=3_000_000))
        near, far = network.open(NEAR), network.open(FAR)
        near.send(Transmit([b"x"], 0, None, FAR))
        assert far.receive() is None
        start = trio.current_time()
        await far.wait_readable()
        assert trio.current_time() - start == pytest.approx(0.003)
        assert far.receive() is not None

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_a_packet_sent_while_a_task_waits_for_a_later_one_wakes_it() -> None:
    async def main() -> None:
        network = MemoryNetwork(0, Impairments(delay_ns=1_000_000, reordering=0.5, reorder_ns=10**9))
        near, far = network.open(NEAR), network.open(FAR)
        for number in range(20):
            near.send(Transmit([bytes([number])], 0, None, FAR))
        await far.wait_readable()
        assert trio.current_time() < 1

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_an_address_is_open_once_and_free_again_when_closed() -> None:
    network = MemoryNetwork(clock=VirtualClock())
    first = network.open(NEAR)
    with pytest.raises(TransportError, match="taken"):
        network.open(NEAR)
    first.close()
    network.open(NEAR)


def test_packets_for_nobody_are_counted() -> None:
    network = MemoryNetwork(clock=VirtualClock())
    network.open(NEAR).send(Transmit([bytes(30)], 10, None, FAR))
    assert network.unroutable == 3


def test_a_writer_waits_while_the_transport_is_full() -> None:
    async def main() -> None:
        near = MemoryNetwork().open(NEAR)
        near.is_full = True
        assert not near.send(Transmit([b"x"], 0, None, FAR))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(near.wait_writable)
            await trio.testing.wait_all_tasks_blocked()
            near.is_full = False
        assert near.send(Transmit([b"x"], 0, None, FAR))
        assert near.statistics.full == 1

    trio.run(main)
