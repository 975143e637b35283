"""Talking to a guest: its agent's lines, the monitor's captures, and namespaces that were left behind."""

from __future__ import annotations

import base64
import socket
from pathlib import Path

import pytest

from interop.guest.agent import Agent, GuestError, Job, Result, decode_answer, encode_run
from interop.guest.image import Image
from interop.guest.machine import BootOptions, qemu_command
from interop.guest.network import abandoned
from interop.guest.pcap import pcap_to_pcapng
from wire.errors import WireError
from wire.pcapng import decode_packets


def answer(number: int, status: int, output: bytes) -> bytes:
    return b"%d %d %s\n" % (number, status, base64.b64encode(output))


def test_script_survives_the_line_whatever_it_contains() -> None:
    script = 'echo "a b"\nexit 3 # ü'
    verb, number, seconds, encoded = encode_run(7, script, seconds=2.4).split()
    assert (verb, number, seconds) == (b"run", b"7", b"2")
    assert base64.b64decode(encoded).decode() == script


def test_answer_tells_status_and_output_that_may_be_empty() -> None:
    assert decode_answer(answer(3, 1, b"x\ny\n").rstrip(b"\n")) == (3, Result(1, "x\ny\n"))
    assert decode_answer(b"4 0 ") == (4, Result(0, ""))


@pytest.mark.parametrize("line", [b"", b"x", b"1 0 ***", b"1 x ", b"\xff 0 "])
def test_line_that_is_no_answer_is_refused(line: bytes) -> None:
    with pytest.raises(GuestError):
        decode_answer(line)


def test_scripts_under_way_at_once_are_told_apart() -> None:
    host, guest = socket.socketpair()
    with guest:
        agent = Agent(host)
        first, second = agent.start("sleep 1"), agent.start("true")
        assert guest.recv(1000).count(b"\n") == 2
        assert not agent.is_done(first)
        guest.sendall(answer(second.number, 0, b"two") + answer(first.number, 2, b"one")[:4])
        assert agent.is_done(second)
        guest.sendall(answer(first.number, 2, b"one")[4:])
        assert (agent.wait(first), agent.wait(second)) == (Result(2, "one"), Result(0, "two"))
        agent.end(first)
        assert guest.recv(1000) == b"end %d\n" % first.number
        agent.close()


def test_guest_that_ends_or_keeps_silent_is_an_error() -> None:
    host, guest = socket.socketpair()
    agent = Agent(host)
    with pytest.raises(GuestError, match="does not answer"):
        agent.wait(Job(1, deadline=0))
    job = agent.start("true")
    guest.recv(1000)
    guest.close()
    with pytest.raises(GuestError, match="has ended"):
        agent.wait(job)
    agent.close()


def test_capture_of_qemu_becomes_pcapng() -> None:
    head = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000100 01000000")
    record = bytes.fromhex("02000000 03000000 04000000 04000000") + b"abcd"
    [packet] = decode_packets(pcap_to_pcapng(head + record + record[:-1], name="tap0"))
    assert (packet.timestamp_ns, packet.data) == (2_000_003_000, b"abcd")
    with pytest.raises(WireError):
        pcap_to_pcapng(b"no capture", name="tap0")


def test_only_what_dead_processes_left_behind_is_removed() -> None:
    names = ["bmguest10-9000", "bmguest10-x_y", "bmguest11-1500", "bmguestx-1", "other", "bmguest10"]
    assert abandoned(names, is_alive=frozenset({11})) == ["bmguest10-9000", "bmguest10-x_y"]


def test_qemu_gets_no_offloads_and_dies_with_its_parent() -> None:
    words = qemu_command(Image(Path("k"), Path("i"), "6.1"), Path("/x"), BootOptions(mtu=1500), console=False)
    assert words[:3] == ["setpriv", "--pdeathsig", "KILL"]
    assert any("host_mtu=1500" in word and "csum=off" in word and "gso=off" in word for word in words)
    assert words[words.index("-accel") + 1] == "tcg"


@pytest.mark.parametrize("multipath", [False, True])
def test_kernel_is_told_whether_to_join_paths(multipath: bool) -> None:
    options = BootOptions(multipath=multipath)
    words = qemu_command(Image(Path("k"), Path("i"), "6.1"), Path("/x"), options, console=False)
    assert f"nvme_core.multipath={'Y' if multipath else 'N'}" in words[words.index("-append") + 1].split()
