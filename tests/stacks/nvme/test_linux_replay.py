"""What a Linux 6.1 host sent to nvmet, sent to our target: every command of the captures gets the answer it needs."""

from __future__ import annotations

from functools import cache

import pytest

from stacks.nvme.stores import MemoryStore
from tests.captures.frames import CAPTURES, frames
from tests.stacks.nvme.core_rig import NQN, SQE_WORDS, Answer, Command, CoreHost, make_port
from wire.datagrams import datagram_of
from wire.nvme.fabrics_codec import ConnectData
from wire.nvme.identify_codec import IdentifyController, IdentifyNamespace
from wire.nvme.rdma_trace import RdmaTrace
from wire.nvme.sgl_codec import DataBlockSgl, KeyedSgl
from wire.nvme.status import status_code
from wire.nvme.traced_command import TracedCommand
from wire.udp import ROCE_V2_PORT

KINDS_IN_CAPSULE = (0x00, 0x01)
WE_CAN = {("IDENTIFY", 5), ("WRITE_ZEROES", 0)}
"""What nvmet 6.1 refused and we do: Identify CNS 05h, and Write Zeroes on its backing device."""


@cache
def trace_of(capture: str) -> RdmaTrace:
    trace = RdmaTrace()
    for number, frame in enumerate(frames(capture), start=1):
        datagram = datagram_of(frame)
        if datagram and datagram.destination_port == ROCE_V2_PORT:
            trace.feed(number, datagram.source, datagram.destination, datagram.payload)
    return trace


class Replay:
    """Our target, and a host for each queue of a capture."""

    def __init__(self, capture: str) -> None:
        self.trace = trace_of(capture)
        self.port = make_port(MemoryStore(64 << 20))
        self.hosts = [CoreHost(self.port, expected_qid=queue.request.qid) for queue in self.trace.queues]
        self.cntlid = 0

    def send(self, traced: TracedCommand) -> Answer | None:
        """Send a captured command; None while it is not answered."""
        host = self.hosts[self.trace.queues.index(traced.queue)]
        command = Command()
        command.words = SQE_WORDS(traced.capsule, 0)
        data = traced.in_capsule or (b"" if traced.to_host else bytes(traced.data))
        if traced.name == "CONNECT" and traced.queue.qid:
            connect = ConnectData.decode(data)
            connect.cntlid = self.cntlid
            data = connect.encode()
        is_in_capsule = traced.capsule[39] in KINDS_IN_CAPSULE
        sgl = DataBlockSgl.decode(traced.capsule, 24) if is_in_capsule else KeyedSgl.decode(traced.capsule, 24)
        command.data_bytes = sgl.length
        if is_in_capsule:
            command.capsule_data = memoryview(data)
        host.host_data[traced.entry.cid] = data
        host.queue.handle_capsule(command)
        host.pump()
        answer = host.answers.pop(traced.entry.cid, None)
        if answer is not None and traced.name == "CONNECT":
            self.cntlid = answer.dw0
        return answer


@pytest.mark.parametrize("capture", CAPTURES)
def test_linux_gets_the_same_status_for_every_command_that_both_targets_know(capture: str) -> None:
    replay = Replay(capture)
    for traced in replay.trace.commands:
        answer = replay.send(traced)
        if traced.name == "ASYNC_EVENT_REQUEST":
            assert answer is None
            continue
        assert answer is not None
        expected = status_code(int.from_bytes(traced.completion[14:16], "little"))
        is_ours = (traced.name, traced.entry.cdw10 & 0xFF if traced.name == "IDENTIFY" else 0) in WE_CAN
        assert answer.status == (0 if is_ours else expected), f"{traced.name}, frame {traced.frame}"


@pytest.mark.parametrize("capture", CAPTURES)
def test_linux_reads_what_it_read_from_nvmet(capture: str) -> None:
    replay = Replay(capture)
    checked = 0
    for traced in replay.trace.commands:
        answer = replay.send(traced)
        if traced.name == "READ" and answer is not None:
            assert answer.data == bytes(traced.data), f"frame {traced.frame}"
            checked += 1
    assert checked == 8


@pytest.mark.parametrize("capture", CAPTURES)
def test_pages_have_the_length_and_the_meaning_that_linux_got_from_nvmet(capture: str) -> None:
    replay = Replay(capture)
    for traced in replay.trace.commands:
        answer = replay.send(traced)
        if not traced.to_host or answer is None or answer.status:
            continue
        if traced.data:
            assert len(answer.data) == len(traced.data), f"{traced.name}, frame {traced.frame}"
        if traced.name != "IDENTIFY" or not traced.data:
            continue
        cns = traced.entry.cdw10 & 0xFF
        if cns == 1:
            ours, theirs = (IdentifyController.decode(page) for page in (answer.data, traced.data))
            for field in ("cntrltype", "sqes", "cqes", "iorcsz", "icdoff", "sgls", "oaes", "nn", "mnan"):
                assert getattr(ours, field) == getattr(theirs, field), field
        elif cns == 0:
            disk, their_disk = (IdentifyNamespace.decode(page) for page in (answer.data, traced.data))
            assert (disk.nsze, disk.ncap, disk.flbas, disk.lbaf[:4]) == (
                their_disk.nsze,
                their_disk.ncap,
                their_disk.flbas,
                their_disk.lbaf[:4],
            )
        elif cns == 2:
            assert answer.data == bytes(traced.data)
    assert NQN in replay.port.target.subsystems
