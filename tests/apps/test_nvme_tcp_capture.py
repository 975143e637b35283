"""`--capture` where commands speak NVMe/TCP: both ends' files hold every PDU, in order, and end at their limits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.processes import ServingProcess
from tests.apps.cli import LIMIT_S, baremetal
from tests.captures.streams import Connection, connections_of
from tests.wire.nvme.tcp_pdus import Pdu, pdus
from wire.nvme.kinds import TcpPduKind
from wire.nvme.opcodes import IoOpcode
from wire.pcapng import decode_packets

pytestmark = pytest.mark.slow

PORT = 4420
SIZE = 300 << 10
LIMIT = 100_000
THERE = {TcpPduKind.INITIALIZE_REQUEST, TcpPduKind.COMMAND, TcpPduKind.HOST_DATA}
BACK = {
    TcpPduKind.INITIALIZE_RESPONSE,
    TcpPduKind.COMPLETION,
    TcpPduKind.CONTROLLER_DATA,
    TcpPduKind.READY_TO_TRANSFER,
}


def serving(address: str, *options: str) -> ServingProcess:
    words = ["nvme", "target", "--namespace", "mem:1MiB", "--listen", f"nvme+tcp://{address}"]
    return ServingProcess([*words, "--until-stdin-ends", "--json", *options], timeout_s=LIMIT_S)


def frames(path: Path) -> list[bytes]:
    return [packet.data for packet in decode_packets(path.read_bytes())]


@pytest.fixture(scope="module")
def session(loopback_addresses: Iterator[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, bytes]:
    """The captures of a target and of a host that wrote and read a file, and that file."""
    folder, address = tmp_path_factory.mktemp("captured"), next(loopback_addresses)
    content = random.Random(SIZE).randbytes(SIZE)
    (folder / "in.bin").write_bytes(content)
    url = f"nvme+tcp://{address}"
    files = ("--file", str(folder / "in.bin"), "--capture", str(folder / "host.pcapng"))
    with serving(address, "--capture", str(folder / "target.pcapng")) as process:
        wrote = baremetal("nvme", "write", url, "--digests", "both", *files)
        assert wrote.returncode == 0, wrote.stderr
        assert process.stop(LIMIT_S) == 0
    return folder / "target.pcapng", folder / "host.pcapng", content


def said(connection: Connection) -> tuple[list[Pdu], list[Pdu]]:
    """The PDUs of both directions, which are all that there is."""
    found = list(pdus(connection.there.data)), list(pdus(connection.back.data))
    assert sum(len(each.raw) for each in found[0]) == len(connection.there.data)
    assert sum(len(each.raw) for each in found[1]) == len(connection.back.data)
    return found


def test_every_pdu_of_a_session_is_there_in_order(session: tuple[Path, Path, bytes]) -> None:
    _, host, content = session
    written = bytearray(1 << 20)
    connections = connections_of(frames(host), PORT)
    assert len(connections) >= 2
    for connection in connections:
        there, back = said(connection)
        assert there[0].kind is TcpPduKind.INITIALIZE_REQUEST
        assert back[0].kind is TcpPduKind.INITIALIZE_RESPONSE
        assert {each.kind for each in there} <= THERE
        assert {each.kind for each in back} <= BACK
        commands = [each.field("sqe_cid") for each in there if each.kind is TcpPduKind.COMMAND]
        answers = [each.field("cqe_cid") for each in back if each.kind is TcpPduKind.COMPLETION]
        assert len(answers) <= len(commands)
        assert set(answers) <= set(commands)
        for at, data in writes(there):
            written[at : at + len(data)] = data
    assert bytes(written[:SIZE]) == content


def writes(there: list[Pdu]) -> Iterator[tuple[int, bytes]]:
    """Where the data of each PDU goes, in a namespace of 4096-byte blocks."""
    begun: dict[int, int] = {}
    for each in there:
        assert each.is_header_intact
        assert each.is_data_intact
        if each.kind is TcpPduKind.COMMAND and each.field("sqe_opcode") == IoOpcode.WRITE:
            begun[each.field("sqe_cid")] = at = each.field("sqe_cdw10") * 4096
            yield at, bytes(each.data)
        elif each.kind is TcpPduKind.HOST_DATA:
            yield begun[each.field("cid")] + each.field("offset"), bytes(each.data)


def test_both_ends_recorded_the_same(session: tuple[Path, Path, bytes]) -> None:
    target, host, _ = session
    ours, theirs = connections_of(frames(target), PORT), connections_of(frames(host), PORT)
    assert {each.client for each in theirs} <= {each.client for each in ours}
    by_client = {each.client: each for each in ours}
    for connection in theirs:
        other = by_client[connection.client]
        assert connection.there.data == other.there.data
        # What was on its way when a host had gone was not heard any more.
        assert other.back.data.startswith(connection.back.data)


def test_a_capture_ends_at_its_limit_with_whole_packets_and_the_target_goes_on(
    loopback_address: str, tmp_path: Path
) -> None:
    content = random.Random(1).randbytes(SIZE)
    (tmp_path / "in.bin").write_bytes(content)
    url = f"nvme+tcp://{loopback_address}"
    words = ("--capture", str(tmp_path / "target.pcapng"))
    with serving(loopback_address, *words, "--capture-limit", str(LIMIT)) as process:
        done = baremetal("nvme", "write", url, "--file", str(tmp_path / "in.bin"))
        assert done.returncode == 0, done.stderr
        read = baremetal("nvme", "read", url, "--file", str(tmp_path / "out.bin"), "--length", str(1 << 20))
        assert read.returncode == 0, read.stderr
        assert process.stop(LIMIT_S) == 0
    assert LIMIT - 4000 < (tmp_path / "target.pcapng").stat().st_size <= LIMIT
    assert (tmp_path / "out.bin").read_bytes()[:SIZE] == content
    first = connections_of(frames(tmp_path / "target.pcapng"), PORT)[0]
    assert next(iter(pdus(first.there.data))).kind is TcpPduKind.INITIALIZE_REQUEST
