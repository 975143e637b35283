"""Slow and silent hosts over TCP, of every kind at once: nobody else notices, memory is bounded, and they are ended."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.nvme.host import HostNamespace
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.tcp_pressure_rig import NO_FLOW_CONTROL, Crowded, Held, Traced
from tests.stacks.nvme.tcp_raw import RawHost, completion, in_capsule, outside, raw_io
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND
from wire.nvme.opcodes import IoOpcode
from wire.nvme.tcp_codec import TcpHostData, TcpInitializeRequest

BUFFERS = 4096 + 256 + 32
LARGE = 128 << 10
PATIENCE = 30 * SECOND


def stops_reading(rig: TcpRig, address: str) -> RawHost:
    """It asks for much, and takes the beginning of it."""
    _, host = raw_io(rig, address, cattr=NO_FLOW_CONTROL)
    host.core.output.extend(host.capsule(IoOpcode.READ, sgl=outside(LARGE), nsid=1, cdw12=31) for _ in range(8))
    host.run(30_000)
    host.core.is_reading = False
    host.run()
    return host


def stops_in_a_capsule(rig: TcpRig, address: str) -> RawHost:
    """It sends half of a command with its data."""
    _, host = raw_io(rig, address)
    whole = host.capsule(IoOpcode.WRITE, sgl=in_capsule(8192), data=bytes(8192), nsid=1, cdw12=1)
    host.send(whole[: len(whole) // 2])
    return host


def stops_in_a_header(rig: TcpRig, address: str) -> RawHost:
    """It sends a few bytes of a command."""
    _, host = raw_io(rig, address)
    host.send(host.capsule(IoOpcode.READ, sgl=outside(4096), nsid=1)[:5])
    return host


def stops_in_data(rig: TcpRig, address: str) -> RawHost:
    """It sends half of the data that it was asked for."""
    _, host = raw_io(rig, address)
    host.send(host.capsule(IoOpcode.WRITE, sgl=outside(LARGE), nsid=1, cdw12=31))
    request = host.pdus[-1]
    header = TcpHostData(flags=4, cid=request.field("cid"), ttag=request.field("ttag"), length=LARGE)
    whole = host.sealed(header, bytes(LARGE))
    host.send(whole[: len(whole) // 2])
    return host


def says_nothing(rig: TcpRig, address: str) -> RawHost:
    """It connects, and no more."""
    host = RawHost(rig, address)
    host.run()
    return host


def stops_in_an_icreq(rig: TcpRig, address: str) -> RawHost:
    """It sends half of the very first PDU."""
    host = RawHost(rig, address)
    host.send(TcpInitializeRequest().encode()[:64])
    return host


def never_connects(rig: TcpRig, address: str) -> RawHost:
    """It agrees on everything, and sends no Connect."""
    host = RawHost(rig, address)
    host.initialize()
    return host


KINDS: list[Callable[[TcpRig, str], RawHost]] = [
    stops_reading,
    stops_in_a_capsule,
    stops_in_a_header,
    stops_in_data,
    says_nothing,
    stops_in_an_icreq,
    never_connects,
]


def latencies(rig: TcpRig, namespace: HostNamespace) -> list[int]:
    """How long each of some reads and writes takes in virtual time."""
    found = []
    for number in range(60):
        before = rig.simulation.now
        data = memoryview(bytearray((4096, 65536)[number % 2]))
        assert rig.do(namespace.read(0, data) if number % 3 else namespace.write(0, data)) == 0
        found.append(rig.simulation.now - before)
    return found


def new_rig() -> TcpRig:
    return TcpRig(MemoryStore(1 << 20), cuts=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_host_that_stops_delays_nobody_and_is_ended_in_time(kind: Callable[[TcpRig, str], RawHost]) -> None:
    alone = new_rig()
    expected = latencies(alone, alone.namespace())
    rig = new_rig()
    namespace = rig.namespace()
    began = rig.simulation.now
    hosts = [kind(rig, f"192.0.2.{number}") for number in range(20, 24)]
    assert latencies(rig, namespace) == expected
    connections = rig.target_host.streams.connection_count
    assert not any(host.is_closed for host in hosts)
    # One that does not read does not hear that it is over; its admin queue, if it has one, has done nothing wrong.
    rig.run_until(lambda: rig.target_host.streams.connection_count == connections - 4, timeout_ns=100 * SECOND)
    assert rig.simulation.now - began < PATIENCE + 4 * SECOND
    assert latencies(rig, namespace) == expected
    assert rig.tcp_target.port.pool.free_buffers == BUFFERS
    for host in hosts:
        host.core.is_reading = True
        host.run()
        assert host.is_closed


@pytest.mark.slow
def test_many_of_all_kinds_at_once_leave_memory_and_others_alone() -> None:
    rig = new_rig()
    namespace = rig.namespace()
    expected = latencies(rig, namespace)
    rng = random.Random(5)
    with Traced() as traced:
        hosts = []
        for number in range(21):
            hosts.append(KINDS[number % len(KINDS)](rig, f"192.0.2.{30 + number}"))
            if rng.random() < 0.3:
                assert latencies(rig, namespace) == expected
        # A receive buffer of 256 KiB for each connection, what was asked for, and what is on its way.
        assert traced.grown_bytes < 21 * (2 << 20)
    connections = rig.target_host.streams.connection_count
    rig.run_until(lambda: rig.target_host.streams.connection_count == connections - 21, timeout_ns=100 * SECOND)
    assert rig.tcp_target.port.pool.free_buffers == BUFFERS
    assert latencies(rig, namespace) == expected


def test_a_host_that_sends_slowly_but_goes_on_is_not_ended() -> None:
    rig = new_rig()
    _, host = raw_io(rig)
    whole = host.capsule(IoOpcode.WRITE, sgl=in_capsule(4096), data=bytes(4096), nsid=1)
    for at in range(0, len(whole), 1000):
        host.send(whole[at : at + 1000])
        host.run(PATIENCE - 3 * SECOND)
        assert not host.is_closed
    assert len(host.take()) == 1
    rig.run_for(2 * PATIENCE)
    # With nothing begun, it may be silent for as long as it likes.
    assert not host.is_closed
    assert rig.tcp_target.counters.connections_stalled == 0


def test_half_a_command_is_no_reason_to_end_a_host_early_when_others_wait_for_memory() -> None:
    crowded = Crowded()
    half, slow, slower, brisk = (crowded.host(number) for number in range(11, 15))
    half.send(half.capsule(IoOpcode.READ, sgl=outside(4096), nsid=1)[:5])
    crowded.fill(slow)
    crowded.fill(slower)
    [answer] = crowded.read(brisk)
    assert answer.data == bytes(8192)
    assert crowded.rig.tcp_target.counters.connections_stalled >= 1
    assert not half.is_closed
    crowded.rig.run_for(PATIENCE + 2 * SECOND)
    assert half.is_closed
    assert not brisk.is_closed


def test_a_host_that_waits_for_a_slow_store_in_the_middle_of_a_command_is_not_blamed() -> None:
    held = Held()
    held.host.send(*(held.write(block) for block in range(250)))
    # It is the target that does not read on, for it has no room before the store is done.
    held.rig.run_for(3 * PATIENCE)
    assert not held.host.is_closed
    held.release()
    held.host.run(SECOND)
    assert [completion(each).status for each in held.host.take()] == [0] * 250
    assert held.rig.tcp_target.counters.connections_stalled == 0
