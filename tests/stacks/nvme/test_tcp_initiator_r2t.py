"""What an initiator makes of a controller's R2Ts and early ends, and that memory of what is over is left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig
from stacks.nvme.host import HostConfig, Transfer
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.tcp_initiator_rig import BOTH, DATA, FIELD, LAST, LIMIT, RANGE, SUCCESS
from tests.stacks.nvme.tcp_raw import MILLISECOND, Relay
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND, TARGET
from tests.wire.nvme.tcp_pdus import Pdu, pdu
from wire.nvme.commands_codec import CompletionEntry
from wire.nvme.kinds import TcpPduKind
from wire.nvme.status import StatusCode
from wire.nvme.tcp_codec import TcpCompletion, TcpControllerData, TcpInitializeResponse, TcpReadyToTransfer

# R2T


@pytest.mark.parametrize("digests", [0, BOTH])
@pytest.mark.parametrize("sizes", [[65536], [32768, 32768], [4, 65532], [20000, 25536, 20000], [1, 65535]])
def test_a_write_may_be_asked_for_in_pieces_one_after_the_other(sizes: list[int], digests: int) -> None:
    rig = TcpRig(initiator=TcpInitiatorConfig(digests=digests))
    controller = Speaking(rig, digests)
    transfer = controller.namespace.write(0, memoryview(DATA))
    received = bytearray()
    cid = controller.command()
    at = 0
    for tag, size in enumerate(sizes):
        controller.say(TcpReadyToTransfer(cid=cid, ttag=0x100 + tag, offset=at, length=size))
        for each in controller.heard():
            assert each.kind is TcpPduKind.HOST_DATA
            assert (each.field("cid"), each.field("ttag"), each.field("offset")) == (cid, 0x100 + tag, len(received))
            assert len(each.data) == each.field("length") <= 16384
            received += each.data
            assert bool(each.flags & LAST) == (len(received) == at + size)
        at += size
        assert len(received) == at
    assert received == DATA
    assert not transfer.is_done
    controller.say(TcpCompletion(cqe_cid=cid))
    assert transfer.status == 0
    assert transfer.is_done


class Speaking:
    """An association whose I/O queue a test speaks for: the target brings it up, then nothing of it goes on."""

    def __init__(self, rig: TcpRig, digests: int = 0) -> None:
        self.rig = rig
        self.digests = digests
        self._is_live = False
        self._heard: list[Pdu] = []
        self.relay = Relay(rig, change=self._from_target, change_host=self._from_host)
        config = HostConfig(nqn=NQN, keep_alive_ms=0, command_timeout_ns=1000 * SECOND)
        self.host = rig.connect(config, address=self.relay.address)
        assert self.host.is_live, self.host.failure
        self._is_live = True
        self.relay.ties_ends = False
        self.namespace = self.host.namespace()

    def command(self) -> int:
        """The CID of the one command that the host sent."""
        [each] = self.heard()
        assert each.kind is TcpPduKind.COMMAND
        return each.field("sqe_cid")

    def heard(self) -> list[Pdu]:
        """What the host said since the last call."""
        self.rig.initiator_host.wake()
        self.relay.host.wake()
        self.rig.run_for(20 * MILLISECOND)
        heard, self._heard = self._heard, []
        return heard

    def say(self, header: object, data: bytes = b"") -> None:
        """Say something as the controller."""
        near, _ = self.relay.end.pairs[1]
        near.output.append(pdu(header, data, digests=self.digests))  # type: ignore[arg-type]
        self.relay.host.wake()
        self.rig.run_for(20 * MILLISECOND)

    @property
    def termination(self) -> tuple[int, int] | None:
        """FES and FEI of the initiator's TermReq."""
        found = [each for each in self.heard() if each.kind is TcpPduKind.HOST_TERMINATE]
        return (found[0].field("fes"), found[0].field("fei_low")) if found else None

    def _from_target(self, number: int, each: Pdu) -> bytes:
        if each.kind is TcpPduKind.INITIALIZE_RESPONSE:
            # So that large writes come in several PDUs.
            response = TcpInitializeResponse.decode(each.raw)
            response.maxh2cdata = 16384
            return response.encode()
        return b"" if self._is_live and number == 1 else each.raw

    def _from_host(self, number: int, each: Pdu) -> bytes:
        if self._is_live and number == 1:
            self._heard.append(each)
            return b""
        return each.raw


def request(cid: int, **fields: int) -> TcpReadyToTransfer:
    return TcpReadyToTransfer(cid=cid, **fields)


R2T_ERRORS: dict[str, tuple[Callable[[int], list[TcpReadyToTransfer]], tuple[int, int]]] = {
    "for nothing": (lambda cid: [request(cid)], (FIELD, 16)),
    "past the end": (lambda cid: [request(cid, length=65537)], (RANGE, 0)),
    "without end": (lambda cid: [request(cid, offset=0, length=0xFFFFFFFF)], (RANGE, 0)),
    "not from the beginning": (lambda cid: [request(cid, offset=4096, length=4096)], (RANGE, 0)),
    "the same again": (lambda cid: [request(cid, length=4096)] * 2, (RANGE, 0)),
    "with a hole": (lambda cid: [request(cid, length=4096), request(cid, offset=8192, length=4)], (RANGE, 0)),
    "for another command": (lambda cid: [request(cid + 1, length=4096)], (FIELD, 8)),
    "for an earlier command": (lambda cid: [request(cid ^ 0x1000, length=4096)], (FIELD, 8)),
}


@pytest.mark.parametrize("name", R2T_ERRORS)
def test_an_r2t_that_cannot_be_ends_the_association(name: str) -> None:
    make, expected = R2T_ERRORS[name]
    controller = Speaking(TcpRig())
    transfer = controller.namespace.write(0, memoryview(DATA))
    for header in make(controller.command()):
        controller.say(header)
    assert controller.termination == expected
    assert transfer.status == StatusCode.HOST_PATH_ERROR


def test_a_second_r2t_while_one_is_served_is_one_too_many() -> None:
    rig = TcpRig(capacity_bytes=8192)
    controller = Speaking(rig)
    transfer = controller.namespace.write(0, memoryview(DATA))
    cid = controller.command()
    near, _ = controller.relay.end.pairs[1]
    near.is_reading = False
    controller.say(request(cid, length=32768))
    controller.say(request(cid, offset=32768, length=32768))
    near.is_reading = True
    controller.relay.end.active.append(near)
    assert controller.termination == (LIMIT, 0)
    assert transfer.status == StatusCode.HOST_PATH_ERROR


def test_an_r2t_for_what_went_inside_the_capsule_is_one_too_many() -> None:
    controller = Speaking(TcpRig())
    controller.namespace.write(0, memoryview(DATA)[:4096])
    controller.say(request(controller.command(), length=4096))
    assert controller.termination == (RANGE, 0)


def test_a_write_that_succeeds_before_its_data_was_asked_for_has_not() -> None:
    controller = Speaking(TcpRig())
    transfer = controller.namespace.write(0, memoryview(DATA))
    cid = controller.command()
    controller.say(request(cid, length=32768))
    controller.heard()
    controller.say(TcpCompletion(cqe_cid=cid))
    assert transfer.status == StatusCode.DATA_TRANSFER_ERROR
    assert controller.host.is_live


def test_a_write_that_fails_before_its_data_was_asked_for_has_failed() -> None:
    controller = Speaking(TcpRig())
    transfer = controller.namespace.write(0, memoryview(DATA))
    controller.say(TcpCompletion(cqe_cid=controller.command(), cqe_status=StatusCode.WRITE_FAULT << 1))
    assert transfer.status == StatusCode.WRITE_FAULT
    assert controller.host.is_live


class Early:
    """A write that is answered while its data is still on its way out, through a connection that holds little."""

    def __init__(self) -> None:
        self.rig = TcpRig(capacity_bytes=8192)
        self.controller = Speaking(self.rig)
        self.data = bytearray(DATA)
        self.done: list[Transfer] = []
        self.transfer = self.controller.namespace.write(0, memoryview(self.data), done=self._finished)
        self.cid = self.controller.command()
        self.near, _ = self.controller.relay.end.pairs[1]
        self.near.is_reading = False
        self.controller.say(request(self.cid, length=65536))

    def _finished(self, transfer: Transfer) -> None:
        self.done.append(transfer)
        # The program has its memory back, and uses it for something else.
        self.data[:] = b"?" * len(self.data)

    def read_on(self) -> bytes:
        """Take what is on its way; the data of the command."""
        self.near.is_reading = True
        self.controller.relay.end.active.append(self.near)
        self.controller.relay.host.wake()
        self.rig.run_for(SECOND)
        return b"".join(each.data for each in self.controller.heard() if each.kind is TcpPduKind.HOST_DATA)


@pytest.mark.parametrize("status", [0, int(StatusCode.WRITE_FAULT)])
def test_a_command_that_ends_early_is_over_when_its_data_has_left(status: int) -> None:
    early = Early()
    early.controller.say(TcpCompletion(cqe_cid=early.cid, cqe_status=status << 1, cqe_dw0=7))
    assert not early.transfer.is_done
    # Another answer changes nothing.
    early.controller.say(TcpCompletion(cqe_cid=early.cid, cqe_status=StatusCode.INTERNAL_ERROR << 1))
    assert early.read_on() == DATA
    assert early.transfer.status == status
    assert early.done == [early.transfer]
    assert early.controller.host.is_live


def test_an_r2t_for_a_command_that_ended_early_is_wrong() -> None:
    early = Early()
    early.controller.say(TcpCompletion(cqe_cid=early.cid, cqe_status=StatusCode.WRITE_FAULT << 1))
    early.controller.say(request(early.cid, length=4))
    assert early.read_on() == DATA
    assert early.transfer.status == StatusCode.HOST_PATH_ERROR


# Memory of commands that are over


def as_it_arrives(rig: TcpRig, act: Callable[[], None]) -> None:
    """Act when what is sent now, or the room for more, has arrived, and its host has not made a pass yet."""
    rig.run_for(0)
    rig.simulation.schedule(rig.simulation.now + 10_000, act)
    rig.run_for(SECOND)


def test_what_a_term_req_follows_goes_out_as_it_was() -> None:
    early = Early()
    early.controller.say(TcpReadyToTransfer(cid=0x555, length=4))
    # The association is over, the program has its memory back, and what was begun comes to its end unchanged.
    assert early.transfer.status == StatusCode.HOST_PATH_ERROR
    assert set(early.data) == {ord("?")}
    sent = early.read_on()
    assert sent == DATA


@pytest.mark.parametrize("how", ["stop", "lost"])
def test_nothing_of_a_write_that_is_over_is_sent(how: str) -> None:
    early = Early()
    host = early.controller.host
    if how == "stop":
        # There is room for more before the initiator makes another pass.
        early.near.is_reading = True
        early.controller.relay.end.active.append(early.near)
        assert [early.controller.relay.host.pump() for _ in range(2)] == [True, True]
        host.stop(early.rig.simulation.now)
        early.rig.run_for(SECOND)
    else:
        admin, _ = early.controller.relay.end.pairs[0]
        admin.is_over = True
        early.controller.relay.host.wake()
        early.rig.run_for(SECOND // 100)
    assert early.transfer.is_done
    assert set(early.data) == {ord("?")}
    assert b"????" not in early.read_on() + early.near.received


class Landing:
    """A read whose data has begun to land where the program wants it."""

    def __init__(self) -> None:
        self.rig = TcpRig()
        self.controller = Speaking(self.rig)
        self.into = bytearray(1 << 18)
        self.transfer = self.controller.namespace.read(0, memoryview(self.into), done=self._finished)
        self.cid = self.controller.command()
        self.near, _ = self.controller.relay.end.pairs[1]
        header = TcpControllerData(flags=LAST | SUCCESS, cid=self.cid, length=1 << 18)
        self.raw = pdu(header, b"d" * (1 << 18))
        self.say(self.raw[:100_000])
        assert self.into[50_000] == ord("d")

    def say(self, raw: bytes) -> None:
        """Send on as the controller."""
        self.near.output.append(raw)
        self.controller.relay.host.wake()
        self.rig.run_for(20 * MILLISECOND)

    def _finished(self, _: Transfer) -> None:
        self.into[:] = b"?" * len(self.into)


def test_data_lands_where_the_program_wants_it_as_it_comes() -> None:
    landing = Landing()
    landing.say(landing.raw[100_000:])
    assert landing.transfer.status == 0


@pytest.mark.parametrize("how", ["stop", "lost", "late", "garbage"])
def test_nothing_lands_in_memory_of_a_read_that_is_over(how: str) -> None:
    landing = Landing()
    host, rig = landing.controller.host, landing.rig
    landing.near.output.append(landing.raw[100_000:120_000])
    if how == "stop":
        landing.controller.relay.host.wake()
        as_it_arrives(rig, lambda: host.stop(rig.simulation.now))
    elif how == "lost":
        admin, _ = landing.controller.relay.end.pairs[0]
        admin.is_over = True
    elif how == "late":
        rig.world.silence(landing.controller.relay.address, "192.0.2.2")
        rig.run_for(1600 * SECOND)
        rig.world.heal(landing.controller.relay.address, "192.0.2.2")
    else:
        admin, _ = landing.controller.relay.end.pairs[0]
        admin.output.append(b"\xff" * 8)
    landing.controller.relay.host.wake()
    rig.run_for(SECOND)
    assert landing.transfer.is_done
    landing.say(landing.raw[120_000:])
    assert set(landing.into) == {ord("?")}
    assert host.is_closed
    assert TARGET not in host.failure


def test_a_completion_is_what_the_controller_said() -> None:
    controller = Speaking(TcpRig())
    transfer = controller.namespace.flush()
    word = CompletionEntry(status=(StatusCode.WRITE_FAULT | 1 << 14) << 1).status
    controller.say(TcpCompletion(cqe_cid=controller.command(), cqe_status=word))
    assert transfer.status == StatusCode.WRITE_FAULT
