"""Hosts over TCP that do not read, send or say anything: nobody waits for them long, and none has too much memory."""

from __future__ import annotations

import pytest

from stacks.nvme.bindings.tcp import TcpTargetConfig
from stacks.nvme.stores import MemoryStore
from tests.stacks.nvme.tcp_pressure_rig import NO_FLOW_CONTROL, Crowded, Traced
from tests.stacks.nvme.tcp_raw import RawHost, completion, outside, raw_io
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND
from wire.nvme.kinds import TcpPduKind
from wire.nvme.opcodes import IoOpcode
from wire.nvme.tcp_codec import TcpHostData

# Hosts that do not read, or do not send


def test_a_host_that_does_not_read_holds_others_up_for_no_longer_than_patience_under_pressure() -> None:
    crowded = Crowded()
    slow, slower, brisk = crowded.host(11), crowded.host(12), crowded.host(13)
    crowded.fill(slow)
    crowded.fill(slower)
    assert not crowded.pool.has_room(8192)
    before = crowded.rig.simulation.now
    [answer] = crowded.read(brisk)
    assert answer.data == bytes(8192)
    assert crowded.rig.simulation.now - before < 4 * SECOND
    assert 1 <= crowded.rig.tcp_target.counters.connections_stalled <= 2
    assert not brisk.is_closed


def test_a_host_that_does_not_read_is_ended_after_a_while_even_if_nobody_waits() -> None:
    crowded = Crowded()
    slow = crowded.host(11)
    before = crowded.rig.simulation.now
    crowded.fill(slow, 8)
    crowded.rig.run_until(lambda: crowded.rig.tcp_target.queue_count == 1, timeout_ns=100 * SECOND)
    assert 29 * SECOND < crowded.rig.simulation.now - before < 33 * SECOND
    assert crowded.pool.free_buffers == 20
    assert crowded.rig.tcp_target.counters.connections_stalled == 1
    assert crowded.rig.tcp_target.counters.connections_lost == 1


def test_a_host_that_reads_slowly_but_steadily_is_not_ended_even_if_others_wait() -> None:
    crowded = Crowded()
    slow, slower, brisk = crowded.host(11), crowded.host(12), crowded.host(13)
    crowded.fill(slow, 30)
    crowded.fill(slower, 30)
    assert not crowded.pool.has_room(8192)
    brisk.core.output.append(brisk.capsule(IoOpcode.READ, sgl=outside(8192), nsid=1, cdw12=1))
    for _ in range(40):
        for host in (slow, slower):
            host.core.is_reading = True
            host.run(1)
            host.core.is_reading = False
        brisk.run(SECOND // 2)
    for host in (slow, slower):
        host.core.is_reading = True
        host.run(SECOND)
        assert len([each for each in host.pdus if each.kind is TcpPduKind.CONTROLLER_DATA]) == 30
    assert len(brisk.pdus) == 3
    assert crowded.rig.tcp_target.counters.connections_stalled == 0


def test_a_host_that_reads_a_little_at_a_time_is_ended_when_what_it_asked_for_is_too_old() -> None:
    crowded = Crowded(patience_ns=5 * SECOND)
    slow = crowded.host(11)
    crowded.fill(slow, 30)
    before = crowded.rig.simulation.now
    for _ in range(20):
        # The smallest reading that there is frees room for a few thousand bytes at most.
        slow.core.is_reading = True
        slow.run(1)
        slow.core.is_reading = False
        slow.run(SECOND)
    assert slow.is_closed or crowded.rig.tcp_target.queue_count == 1
    assert crowded.rig.tcp_target.counters.connections_stalled == 1
    assert crowded.rig.simulation.now - before >= 5 * SECOND


def test_a_host_that_does_not_send_what_it_was_asked_for_gives_the_buffer_back() -> None:
    crowded = Crowded()
    slow, brisk = crowded.host(11), crowded.host(12)
    slow.send(*(slow.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(6)))
    assert [each.kind for each in slow.take()] == [TcpPduKind.READY_TO_TRANSFER] * 2
    other = crowded.host(13)
    other.send(*(other.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(6)))
    before = crowded.rig.simulation.now
    brisk.send(brisk.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15))
    crowded.rig.run_until(lambda: len(brisk.pdus) > 2, timeout_ns=40 * SECOND)
    assert crowded.rig.simulation.now - before < 5 * SECOND
    request = brisk.pdus[2]
    header = TcpHostData(flags=4, cid=request.field("cid"), ttag=request.field("ttag"), length=65536)
    brisk.send(brisk.sealed(header, bytes(65536)))
    brisk.run(SECOND)
    assert completion(brisk.pdus[3]).status == 0
    crowded.rig.run_for(60 * SECOND)
    assert slow.is_closed
    assert other.is_closed
    assert not brisk.is_closed
    assert crowded.pool.free_buffers == 20


def test_a_host_in_the_middle_of_sending_is_not_ended_while_it_gets_on() -> None:
    crowded = Crowded()
    slow, brisk, other = crowded.host(11), crowded.host(12), crowded.host(13)
    writes = {}
    for host in (slow, other):
        host.send(*(host.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(2)))
        writes[host] = [each for each in host.pdus if each.kind is TcpPduKind.READY_TO_TRANSFER]
    brisk.send(brisk.capsule(IoOpcode.WRITE, sgl=outside(65536), nsid=1, cdw12=15))
    for piece in range(16):
        for host, requests in writes.items():
            for each in requests:
                header = TcpHostData(
                    flags=4 if piece == 15 else 0,
                    cid=each.field("cid"),
                    ttag=each.field("ttag"),
                    offset=piece * 4096,
                    length=4096,
                )
                host.send(host.sealed(header, bytes(4096)))
        slow.run(SECOND)
    assert crowded.rig.tcp_target.counters.connections_stalled == 0
    assert len(brisk.pdus) == 3


@pytest.mark.slow
def test_many_hosts_that_do_not_read_leave_memory_and_others_alone() -> None:
    crowded = Crowded()
    brisk = crowded.host(10)
    slow = [crowded.host(number) for number in range(11, 25)]
    with Traced() as traced:
        for host in slow:
            crowded.fill(host, 60)
        for _ in range(3):
            before = crowded.rig.simulation.now
            crowded.read(brisk)
            assert crowded.rig.simulation.now - before < 4 * SECOND
        assert traced.grown_bytes < 14 << 20
    crowded.rig.run_for(40 * SECOND)
    assert crowded.rig.tcp_target.counters.connections_stalled == 14
    assert crowded.pool.free_buffers == 20


def test_a_host_that_does_not_read_is_not_read_from_once_enough_waits_for_it() -> None:
    rig = TcpRig(MemoryStore(4 << 20), capacity_bytes=1 << 14)
    _, host = raw_io(rig, entries=256, cattr=NO_FLOW_CONTROL)
    host.core.is_reading = False
    for _ in range(8):
        host.send(*(host.capsule(IoOpcode.READ, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(8)))
    before = rig.tcp_target.counters.capsules_received
    host.send(*(host.capsule(IoOpcode.READ, sgl=outside(65536), nsid=1, cdw12=15) for _ in range(8)))
    assert rig.tcp_target.counters.capsules_received == before
    assert before < 40
    host.core.is_reading = True
    host.run(5 * SECOND)
    assert len([each for each in host.pdus if each.kind is TcpPduKind.CONTROLLER_DATA]) == 72
    assert host.termination is None


# Hosts that do not say anything


def test_a_connection_without_a_word_is_ended_in_time() -> None:
    rig = TcpRig()
    host = RawHost(rig)
    before = rig.simulation.now
    rig.run_until(lambda: rig.target_host.streams.connection_count == 0, timeout_ns=60 * SECOND)
    assert 9 * SECOND < rig.simulation.now - before < 13 * SECOND
    assert host.is_closed


@pytest.mark.parametrize("word", [b"\0", b"\0\0\x80\0\x80\0\0", b"\0\0\x80\0\x80\0\0\0" + bytes(100)])
def test_half_an_icreq_is_no_better(word: bytes) -> None:
    rig = TcpRig()
    host = RawHost(rig)
    host.send(word)
    rig.run_for(13 * SECOND)
    assert host.is_closed
    assert rig.tcp_target.queue_count == 0


def test_connections_without_connect_are_few_for_one_address_and_in_all() -> None:
    rig = TcpRig(target=TcpTargetConfig(pending_per_host=4, pending_max=10))
    known = rig.namespace()
    silent = [RawHost(rig, f"192.0.2.{20 + number}") for number in range(3)]
    for host in silent:
        for _ in range(6):
            host.end.connects.append((type(host.core)(), ("192.0.2.1", 4420)))
        host.run()
    assert rig.tcp_target.queue_count == 2 + 10
    assert rig.tcp_target.counters.connections_rejected == 21 - 10
    assert rig.read(known, 0, 1) == bytes(4096)
    rig.run_for(20 * SECOND)
    assert rig.tcp_target.queue_count == 2
    assert rig.connect().is_live
