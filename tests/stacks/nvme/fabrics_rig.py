"""A target with several ports and hosts, in virtual time, for tests of what it tells to whom."""

from __future__ import annotations

from collections.abc import Collection

from stacks.nvme.buffers import BufferPool, pool_bytes
from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import Command, Port, PortAddress, Subsystem, Target
from stacks.nvme.target.queue import Queue
from tests.stacks.nvme.core_rig import ENABLE, HOST_ID, NQN, Answer, CoreHost, sqe
from wire.nvme.identify_codec import IdentifyController
from wire.nvme.kinds import AnaState, TransportType
from wire.nvme.logs_codec import AnaGroup, AnaHeader, DiscoveryEntry, DiscoveryHeader
from wire.nvme.opcodes import AdminOpcode, FeatureId, IoOpcode, LogPage
from wire.nvme.properties import PropertyOffset
from wire.nvme.text import decode_nsids

SECOND = 10**9
SHELVES = ((8 << 10, 32), (128 << 10, 4))
BLOCK = 4096


def host_nqn(name: str) -> str:
    """The NQN of a host that a test calls `name`."""
    return f"nqn.2026-11.io.baremetal:{name}"


def disk(*sizes: int, nqn: str = NQN) -> Subsystem:
    """A subsystem with a namespace of each size in blocks."""
    subsystem = Subsystem(nqn)
    for blocks in sizes or (16,):
        subsystem.add_namespace(MemoryStore(blocks * BLOCK))
    return subsystem


class FabricsRig:
    """The target, its ports and the hosts that came; time passes only in `run_for`."""

    def __init__(self, *subsystems: Subsystem, ports: int = 1, target: Target | None = None) -> None:
        self.target = target or Target(subsystems or [disk()])
        self.now = 0
        self.target.tick(0)
        self.ports: list[Port] = []
        self.by_queue: dict[Queue, RigQueue] = {}
        for number in range(ports):
            self.add_port(PortAddress(TransportType.TCP, f"192.0.2.{number + 1}", 4420))

    @property
    def subsystem(self) -> Subsystem:
        """The first one that is not for discovery."""
        return next(each for each in self.target.subsystems.values() if not each.is_discovery)

    def add_port(
        self, address: PortAddress | None, *, portid: int = 0, serves: Collection[str] | None = None
    ) -> Port:
        """One more port."""
        pool = BufferPool(memoryview(bytearray(pool_bytes(SHELVES))), shelves=SHELVES)
        port = self.target.add_port(pool, portid=portid, address=address, serves=serves, in_capsule_bytes=8192)
        self.ports.append(port)
        return port

    def host(self, name: str = "one", *, port: int = 0, nqn: str = NQN, kato_ms: int = 0) -> RigHost:
        """A host that has connected and enabled a controller, wants all events, and has an I/O queue where it can."""
        return RigHost(self, name, self.ports[port], nqn=nqn, kato_ms=kato_ms)

    def settle(self) -> None:
        """Answer everything, and end the connections that the target wants ended."""
        for port in self.ports:
            for command in port.poll_completions():
                self.collect(command)
            for queue in port.poll_closing():
                queue.closed()

    def collect(self, command: Command) -> None:
        """Give an answer to whoever waits for it."""
        assert command.queue is not None
        self.by_queue[command.queue].take(command)

    def run_for(self, duration_ns: int) -> None:
        """Let time pass."""
        end = self.now + duration_ns
        while (deadline := self.target.poll_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.target.handle_timeout(self.now)
            self.settle()
        self.now = end
        self.target.handle_timeout(end)
        self.settle()


class RigQueue(CoreHost):
    """A queue of a host; answers reach it whoever pumps."""

    def __init__(self, rig: FabricsRig, port: Port, *, local_host: str = "") -> None:
        super().__init__(port)
        self.queue = port.open_queue(local_host=local_host, remote="198.51.100.7")
        self.rig = rig
        rig.by_queue[self.queue] = self

    def pump(self, now: int | None = None) -> None:
        super().pump(self.rig.now if now is None else now)

    def _collect(self, command: Command) -> None:
        self.rig.collect(command)

    def take(self, command: Command) -> None:
        """An answer for this queue."""
        super()._collect(command)

    @property
    def is_connected(self) -> bool:
        """Whether there is still a controller behind it."""
        return self.queue.controller is not None


class RigHost:
    """A host with a controller."""

    def __init__(self, rig: FabricsRig, name: str, port: Port, *, nqn: str, kato_ms: int) -> None:
        self.rig = rig
        self.nqn = host_nqn(name)
        self.host_id = HOST_ID[:-4] + name.encode()[:4].rjust(4)
        self.admin = RigQueue(rig, port)
        answer = self.admin.connect(nqn=nqn, host_nqn=self.nqn, kato_ms=kato_ms, host_id=self.host_id)
        assert answer.status == 0, hex(answer.status)
        self.cntlid = answer.dw0
        assert self.admin.set_property(PropertyOffset.CC, ENABLE).status == 0
        wanted = IdentifyController.decode(self.admin.identify(1).data).oaes
        assert self.set_feature(FeatureId.ASYNC_EVENT_CONFIGURATION, wanted).status == 0
        self._requests: list[int] = []
        self.io = RigQueue(rig, port)
        self.io.connect(qid=1, cntlid=self.cntlid, nqn=nqn, host_nqn=self.nqn, host_id=self.host_id)
        self.wait_for_events()

    @property
    def is_connected(self) -> bool:
        """Whether its association is there."""
        return self.admin.is_connected

    def set_feature(self, fid: int, value: int, *, nsid: int = 0) -> Answer:
        """Set Features."""
        return self.admin.do(sqe(AdminOpcode.SET_FEATURES, nsid=nsid, cdw10=fid, cdw11=value))

    def feature(self, fid: int, *, nsid: int = 0) -> Answer:
        """Get Features."""
        return self.admin.do(sqe(AdminOpcode.GET_FEATURES, nsid=nsid, cdw10=fid))

    def read(self, nsid: int = 1, block: int = 0) -> int:
        """The status of reading a block."""
        return self.io.io(IoOpcode.READ, block, 1, nsid=nsid, expect=BLOCK).status

    def nsids(self) -> list[int]:
        """The active namespaces."""
        return decode_nsids(self.admin.identify(2).data)

    def wait_for_events(self) -> None:
        """Have event requests outstanding, as many as there can be."""
        while len(self._requests) < 4:
            self._requests.append(self.admin.send(sqe(AdminOpcode.ASYNC_EVENT_REQUEST)))
        self.admin.pump()

    def events(self) -> list[int]:
        """DW0 of the events since the last call, whose logs are still to be read."""
        self.rig.settle()
        told = [cid for cid in self._requests if cid in self.admin.answers]
        self._requests = [cid for cid in self._requests if cid not in told]
        found = [self.admin.answers.pop(cid).dw0 for cid in told]
        self.wait_for_events()
        return found

    def news(self) -> list[int]:
        """The log pages that events named since the last call; they are read, so that the next events are told."""
        pages = [dw0 >> 16 for dw0 in self.events()]
        for page in pages:
            self.admin.log_page(page, 4096)
        return pages

    def changed_nsids(self) -> list[int]:
        """The changed-namespace log, which is empty afterwards."""
        return decode_nsids(self.admin.log_page(LogPage.CHANGED_NAMESPACES, 4096).data)

    def ana(self) -> dict[int, tuple[AnaState, list[int]]]:
        """The ANA log: state and namespaces of each group."""
        return {group.group: (AnaState(group.state), nsids) for group, nsids in self.ana_groups()[1]}

    def ana_groups(self) -> tuple[AnaHeader, list[tuple[AnaGroup, list[int]]]]:
        """The ANA log as it is."""
        data = self.admin.log_page(LogPage.ANA, 8208).data
        header, groups, at = AnaHeader.decode(data), [], AnaHeader.SIZE
        for _ in range(header.groups):
            group = AnaGroup.decode(data, at)
            at += AnaGroup.SIZE
            groups.append((group, decode_nsids(data[at : at + 4 * group.nsids])))
            at += 4 * group.nsids
        return header, groups

    def discover(self, *, options: int = 0) -> tuple[DiscoveryHeader, list[DiscoveryEntry]]:
        """The discovery log."""
        entry = sqe(AdminOpcode.GET_LOG_PAGE, cdw10=LogPage.DISCOVERY | options << 8 | (16 * 1024 // 4 - 1) << 16)
        data = self.admin.do(entry, expect=16 * 1024).data
        header = DiscoveryHeader.decode(data)
        size = DiscoveryEntry.SIZE + 8 * (header.dlpf & 1)
        return header, [DiscoveryEntry.decode(data, 1024 + index * size) for index in range(header.numrec)]
