"""Ends of connections that say whatever a test wants: a host towards the target of a rig, a controller for its
initiator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stacks.nvme.host import HostConfig, HostController
from tests.stacks.nvme.core_rig import NQN, connect_data
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import TARGET
from tests.wire.nvme.tcp_pdus import Pdu, pdu, pdus
from transports.datagram import Address, Buffer
from transports.stream import StreamCore
from wire.layout import Header
from wire.nvme.commands_codec import CompletionEntry, SubmissionEntry
from wire.nvme.kinds import SglKind, TcpPduKind
from wire.nvme.opcodes import FLAGS_SGL, AdminOpcode, FabricsType
from wire.nvme.properties import PropertyOffset
from wire.nvme.sgl_codec import DataBlockSgl
from wire.nvme.status import status_code
from wire.nvme.tcp_codec import (
    TcpCommand,
    TcpCompletion,
    TcpControllerData,
    TcpHeader,
    TcpHostData,
    TcpInitializeRequest,
    TcpInitializeResponse,
    TcpReadyToTransfer,
    TcpTerminate,
)

MILLISECOND = 1_000_000
NO_DATA = DataBlockSgl(kind=SglKind.TRANSPORT).encode()


class RawCore:
    """A connection that sends what it is told, and keeps what comes; `is_reading` False takes nothing.

    closes_at_end: close when the other end does.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self.discards = False
        self.is_finished = False
        self.is_over = False
        self.is_ended = False
        self.is_reading = True
        self.closes_at_end = True
        self.failure = ""
        self.output: list[Buffer] = []
        self._scrap = memoryview(bytearray(1 << 16))

    def receive_views(self) -> Sequence[memoryview]:
        return (self._scrap,) if self.is_reading else ()

    def handle_received(self, length: int, now: int) -> None:
        self.received += self._scrap[:length]

    def handle_ended(self, failure: str, now: int) -> None:
        self.is_ended = True
        self.is_over = self.closes_at_end
        self.failure = failure

    def poll_output(self) -> Sequence[Buffer]:
        return self.output

    def sent(self, length: int) -> None:
        rest = b"".join(self.output)[length:]
        self.output[:] = [rest] if rest else []


class RawEnd:
    """A `StreamEndpoint` of such connections."""

    def __init__(self) -> None:
        self.connects: list[tuple[StreamCore, Address]] = []
        self.accepted: list[RawCore] = []
        self.active: list[RawCore] = []

    def tick(self, now: int) -> None:
        pass

    def poll_connects(self) -> Sequence[tuple[StreamCore, Address]]:
        connects, self.connects = self.connects, []
        return connects

    def handle_accepted(self, local: Address, remote: Address, now: int) -> StreamCore | None:
        self.accepted.append(core := RawCore())
        return core

    def poll_active(self, now: int) -> Sequence[StreamCore]:
        active, self.active = self.active, []
        return active

    def handle_timeout(self, now: int) -> None:
        pass

    def poll_deadline(self) -> int | None:
        return None


class RawHost:
    """One connection of a host towards the target of `rig`, from an address of its own.

    digests: those that are used, once `initialize` has agreed on them.
    """

    def __init__(self, rig: TcpRig, address: str = "192.0.2.7", *, target: Address = (TARGET, 4420)) -> None:
        self.rig = rig
        self.address = address
        self.end = RawEnd()
        self.core = RawCore()
        self.digests = 0
        self.alignment = 0
        self.cid = 0
        self._taken = self._parsed = 0
        self._found: list[Pdu] = []
        self.host = rig.world.attach(self.end, address)
        self.end.connects.append((self.core, target))
        self.run()

    def run(self, duration_ns: int = MILLISECOND) -> None:
        """Send what was queued, and let time pass."""
        self.end.active.append(self.core)
        self.host.wake()
        self.rig.run_for(duration_ns)

    def send(self, *raw: bytes) -> None:
        """Send bytes."""
        self.core.output += raw
        self.run()

    @property
    def pdus(self) -> list[Pdu]:
        """All PDUs that came."""
        received = self.core.received
        for each in pdus(memoryview(received)[self._parsed :].tobytes()):
            self._found.append(each)
            self._parsed += each.plen
        return self._found

    def take(self) -> list[Pdu]:
        """The PDUs that came since the last call."""
        found = self.pdus
        taken, self._taken = self._taken, len(found)
        return found[taken:]

    @property
    def is_closed(self) -> bool:
        """Whether the target has ended the connection."""
        return self.core.is_ended

    @property
    def termination(self) -> TcpTerminate | None:
        """The TermReq that came, if one did; it must be the last PDU."""
        found = self.pdus
        if not found or found[-1].kind is not TcpPduKind.CONTROLLER_TERMINATE:
            return None
        assert isinstance(found[-1].header, TcpTerminate)
        return found[-1].header

    def initialize(self, *, digests: int = 0, hpda: int = 0, maxr2t: int = 0) -> TcpInitializeResponse:
        """ICReq and ICResp."""
        self.send(TcpInitializeRequest(digests=digests, hpda=hpda, maxr2t=maxr2t).encode())
        [answer] = self.take()
        assert isinstance(answer.header, TcpInitializeResponse)
        self.digests = answer.header.digests
        self.alignment = (answer.header.cpda + 1) * 4 if answer.header.cpda else 0
        return answer.header

    def capsule(self, opcode: int, *, sgl: bytes = NO_DATA, data: bytes = b"", **fields: int) -> bytes:
        """A CapsuleCmd; its CID is `cid`, which counts up."""
        self.cid += 1
        entry = SubmissionEntry(opcode=opcode, flags=FLAGS_SGL, cid=self.cid, sgl=sgl, **fields)
        return self.sealed(TcpCommand.decode(bytes(8) + entry.encode()), data)

    def sealed(self, header: Header, data: bytes = b"") -> bytes:
        """A PDU as agreed on."""
        raw = bytearray(header.encode())
        if not raw[0] and isinstance(header, TcpCommand):
            raw[:8] = TcpHeader(kind=TcpPduKind.COMMAND, hlen=TcpCommand.SIZE).encode()
        return pdu(type(header).decode(raw), data, digests=self.digests, alignment=self.alignment)  # type: ignore[attr-defined]

    def command(self, opcode: int, *, sgl: bytes = NO_DATA, data: bytes = b"", **fields: int) -> CompletionEntry:
        """Send a command; the completion that comes back, alone or behind data."""
        self.send(self.capsule(opcode, sgl=sgl, data=data, **fields))
        *_, last = self.take()
        return completion(last)

    def status(self, opcode: int, *, sgl: bytes = NO_DATA, data: bytes = b"", **fields: int) -> int:
        """The status code of a command."""
        return status_code(self.command(opcode, sgl=sgl, data=data, **fields).status)

    def connect(self, *, qid: int = 0, cntlid: int = 0xFFFF, entries: int = 32, cattr: int = 0, nqn: str = NQN,
                kato_ms: int = 0) -> CompletionEntry:  # fmt: skip
        """Connect, with the data in the capsule."""
        return self.command(
            AdminOpcode.FABRICS,
            sgl=in_capsule(1024),
            data=connect_data(cntlid=cntlid, nqn=nqn),
            nsid=FabricsType.CONNECT,
            cdw10=qid << 16,
            cdw11=entries - 1 | cattr << 16,
            cdw12=kato_ms,
        )

    def enable(self) -> None:
        """Set CC.EN."""
        fields = {"nsid": FabricsType.PROPERTY_SET, "cdw11": PropertyOffset.CC, "cdw12": 0x00460001}
        assert self.status(AdminOpcode.FABRICS, **fields) == 0

    def close(self) -> None:
        """Close the connection."""
        self.core.is_over = True
        self.run()


def raw_admin(rig: TcpRig, address: str = "192.0.2.7", **options: int) -> RawHost:
    """A host with a connected and enabled admin queue."""
    host = RawHost(rig, address)
    host.initialize(**options)
    assert host.connect().status == 0
    host.enable()
    return host


def raw_io(
    rig: TcpRig, address: str = "192.0.2.7", *, entries: int = 32, cattr: int = 0, **options: int
) -> tuple[RawHost, RawHost]:
    """An admin queue, and I/O queue 1 from another address."""
    admin = RawHost(rig, address)
    admin.initialize(**options)
    cntlid = admin.connect().dw0
    admin.enable()
    io = RawHost(rig, f"{address} too")
    io.initialize(**options)
    assert io.connect(qid=1, cntlid=cntlid, entries=entries, cattr=cattr).status == 0
    return admin, io


def completion(answer: Pdu) -> CompletionEntry:
    """What a CapsuleResp says."""
    assert answer.kind is TcpPduKind.COMPLETION, answer
    return CompletionEntry.decode(answer.raw, TcpHeader.SIZE)


def in_capsule(length: int, *, offset: int = 0) -> bytes:
    """An SGL for data in the capsule."""
    return DataBlockSgl(address=offset, length=length, kind=SglKind.DATA_BLOCK_OFFSET).encode()


def outside(length: int) -> bytes:
    """An SGL for data outside of the capsule."""
    return DataBlockSgl(length=length, kind=SglKind.TRANSPORT).encode()


class RawController:
    """A controller for the initiator of `rig`, on an address of its own, that answers as a test says.

    answer: called with each PDU of the host and its connection; what it returns is sent. Without one the connection is
    brought up, by a target of the rig behind this one if the test wants I/O.
    """

    def __init__(self, rig: TcpRig, address: str = "192.0.2.8") -> None:
        self.rig = rig
        self.address = address
        self.end = RawEnd()
        self.host = rig.world.attach(self.end, address, ports=[4420])

    def run(self, duration_ns: int = MILLISECOND) -> None:
        """Let time pass."""
        self.end.active += self.end.accepted
        self.host.wake()
        self.rig.run_for(duration_ns)

    def send(self, core: RawCore, *raw: bytes) -> None:
        """Send bytes on a connection."""
        core.output += raw
        self.run()

    def connect(self, config: HostConfig | None = None) -> tuple[HostController, RawCore]:
        """Have the initiator connect; its association, and the connection of its admin queue."""
        host = self.rig.initiator.connect(self.address, config or HostConfig(nqn=NQN), self.rig.simulation.now)
        self.rig.initiator_host.wake()
        self.run()
        return host, self.end.accepted[-1]


class Relay:
    """Stands between the initiator of `rig` and its target, and changes what the target says.

    change: called with the number of the connection, from 0, and each PDU of the target; returns the bytes that go on.
    ties_ends: whether the end of one side is that of the other.
    """

    def __init__(
        self,
        rig: TcpRig,
        address: str = "192.0.2.9",
        *,
        change: Callable[[int, Pdu], bytes] | None = None,
        change_host: Callable[[int, Pdu], bytes] | None = None,
    ) -> None:
        self.rig = rig
        self.address = address
        self.change = change
        self.change_host = change_host
        self.ties_ends = True
        self.end = _RelayEnd(self)
        self.host = rig.world.attach(self.end, address, ports=[4420])

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self.end.pairs)


class _RelayEnd(RawEnd):
    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self.relay = relay
        self.pairs: list[tuple[RawCore, RawCore]] = []

    def handle_accepted(self, local: Address, remote: Address, now: int) -> StreamCore | None:
        near, far = RawCore(), RawCore()
        self.pairs.append((near, far))
        self.connects.append((far, (TARGET, 4420)))
        return near

    def poll_active(self, now: int) -> Sequence[StreamCore]:
        # One that has nothing to say is not active, or it would be read on with.
        active: list[StreamCore] = [*super().poll_active(now)]
        for number, (near, far) in enumerate(self.pairs):
            self._carry(number, near, far, self.relay.change_host)
            self._carry(number, far, near, self.relay.change)
            if near.is_over != far.is_over and self.relay.ties_ends:
                near.is_over = far.is_over = True
            active += [each for each in (near, far) if each.output or each.is_over]
        return active

    def _carry(
        self, number: int, source: RawCore, target: RawCore, change: Callable[[int, Pdu], bytes] | None
    ) -> None:
        if change is None:
            if source.received:
                target.output.append(bytes(source.received))
                source.received.clear()
            return
        for each in list(pdus(source.received)):
            del source.received[: each.plen]
            changed = change(number, each)
            if changed:
                target.output.append(changed)


__all__ = [
    "MILLISECOND",
    "RawController",
    "RawCore",
    "RawHost",
    "Relay",
    "TcpCompletion",
    "TcpControllerData",
    "TcpHostData",
    "TcpInitializeResponse",
    "TcpReadyToTransfer",
    "TcpTerminate",
    "completion",
    "in_capsule",
    "outside",
    "raw_admin",
    "raw_io",
]
