"""Several hosts, some with several controllers, on one target's core; data and stores can be held up on the way."""

from __future__ import annotations

from collections.abc import Sequence

from stacks.nvme.buffers import BufferPool, pool_bytes
from stacks.nvme.stores import MemoryStore, Store
from stacks.nvme.stores.contract import StoreRequest, run
from stacks.nvme.stores.reservations import ReservationStore
from stacks.nvme.target import Command, Port, Subsystem, Target
from stacks.nvme.target.reservations.commands import report_of
from tests.stacks.nvme.core_rig import ENABLE, NQN, Answer, CoreHost, sqe
from wire.nvme.logs_codec import ErrorLogEntry
from wire.nvme.opcodes import AdminOpcode, FeatureId, IoOpcode, LogPage
from wire.nvme.reservations import (
    AcquireAction,
    PersistenceChange,
    RegisterAction,
    ReleaseAction,
    ReservationNotice,
    ReservationReport,
    decode_report,
    report_bytes,
)
from wire.nvme.reservations_codec import (
    ReservationAcquireData,
    ReservationNotification,
    ReservationRegisterData,
    ReservationReleaseData,
)

SHELVES = ((8 << 10, 64), (128 << 10, 8))
BLOCK = b"reserved" * 512
NOTICE_EVENT = 0x00800006
"""DW0 of an event of type 6, information 0, log page 80h."""


class ReservationRig:
    """A target with namespaces, and hosts by name.

    kept: where the reservations of namespace 1 are kept. is_fetching, is_storing: whether data and store requests go
    on when pumped; what is held up is in `fetching` and `storing`.
    """

    def __init__(self, *stores: Store, kept: ReservationStore | None = None) -> None:
        self.subsystem = Subsystem(NQN)
        for number, store in enumerate(stores or (MemoryStore(1 << 20), MemoryStore(1 << 20))):
            self.subsystem.add_namespace(store, reservations=None if number else kept)
        self.target = Target([self.subsystem])
        memory = memoryview(bytearray(pool_bytes(SHELVES)))
        self.port: Port = self.target.add_port(BufferPool(memory, shelves=SHELVES), in_capsule_bytes=8192)
        self.queues: list[SharedHost] = []
        self.is_fetching = self.is_storing = True
        self.fetching: list[Command] = []
        self.storing: list[StoreRequest] = []

    def host(self, name: str, *, controllers: int = 1) -> Node:
        """A host with an identifier made of its name."""
        return Node(self, name.encode().ljust(16, b"."), controllers)

    def pump(self) -> None:
        """Move data, run stores and collect answers, until nothing is left that is not held up."""
        while True:
            self.fetching += self.port.poll_fetches()
            self.storing += self.target.poll_store_requests()
            did_anything = bool(self._collect())
            if self.is_fetching and self.fetching:
                self.fetched()
                did_anything = True
            if self.is_storing and self.storing:
                self.stored()
                did_anything = True
            if not did_anything:
                return

    def fetched(self) -> None:
        """The data of every command that waits for it has come."""
        commands, self.fetching = self.fetching, []
        for command in commands:
            data = self._queue_of(command).host_data[command.cid]
            assert command.view is not None
            command.view[:] = data[: len(command.view)]
            self.port.handle_fetched(command)

    def stored(self) -> None:
        """The stores have done everything that they were given."""
        requests, self.storing = self.storing, []
        for request in requests:
            run(request)
        self.target.handle_store_completions(requests, 0)

    def _collect(self) -> Sequence[Command]:
        commands = self.port.poll_completions()
        for command in commands:
            self._queue_of(command).take(command)
        return commands

    def _queue_of(self, command: Command) -> SharedHost:
        return next(each for each in self.queues if each.queue is command.queue)


class SharedHost(CoreHost):
    """A queue among many of a rig."""

    def __init__(self, rig: ReservationRig) -> None:
        super().__init__(rig.port)
        self.rig = rig
        rig.queues.append(self)

    def pump(self, now: int = 0) -> None:
        """Have the whole rig move."""
        self.rig.pump()

    def take(self, command: Command) -> None:
        """An answer came."""
        self._collect(command)

    def status(self, cid: int) -> int | None:
        """The status of a command that was sent; None while it is under way."""
        return self.answers[cid].status if cid in self.answers else None


class Node:
    """A host: an admin and an I/O queue for each of its controllers; `admin` and `io` are the first ones."""

    def __init__(self, rig: ReservationRig, host_id: bytes, controllers: int) -> None:
        self.rig = rig
        self.host_id = host_id
        self.admins: list[SharedHost] = []
        self.ios: list[SharedHost] = []
        for _ in range(controllers):
            self.add_controller()
        self.admin, self.io = self.admins[0], self.ios[0]

    def add_controller(self) -> None:
        """Associate with one more controller."""
        admin, io = SharedHost(self.rig), SharedHost(self.rig)
        cntlid = admin.connect(host_id=self.host_id).dw0
        assert admin.set_property(0x14, ENABLE).status == 0
        assert io.connect(qid=1, cntlid=cntlid, host_id=self.host_id).status == 0
        self.admins.append(admin)
        self.ios.append(io)

    def register(
        self,
        key: int,
        *,
        current: int = 0,
        action: int = RegisterAction.REGISTER,
        ignores_key: bool = False,
        persistence: int = PersistenceChange.KEEP,
        nsid: int = 1,
        io: SharedHost | None = None,
    ) -> int:
        """Reservation Register; its status."""
        word = action | ignores_key << 3 | persistence << 30
        data = ReservationRegisterData(crkey=current, nrkey=key).encode()
        return (io or self.io).do(sqe(IoOpcode.RESERVATION_REGISTER, nsid=nsid, cdw10=word), data=data).status

    def send_register(self, key: int, *, current: int = 0, action: int = RegisterAction.REGISTER) -> int:
        """Send Reservation Register with its data in the capsule, and return its CID."""
        data = ReservationRegisterData(crkey=current, nrkey=key).encode()
        cid = self.io.send(sqe(IoOpcode.RESERVATION_REGISTER, nsid=1, cdw10=action), data=data, in_capsule=True)
        self.rig.pump()
        return cid

    def unregister(self, key: int, *, ignores_key: bool = False) -> int:
        """Unregister."""
        return self.register(0, current=key, action=RegisterAction.UNREGISTER, ignores_key=ignores_key)

    def replace(self, key: int, new_key: int, *, ignores_key: bool = False) -> int:
        """Replace the key."""
        return self.register(new_key, current=key, action=RegisterAction.REPLACE, ignores_key=ignores_key)

    def acquire(self, key: int, kind: int, *, io: SharedHost | None = None) -> int:
        """Acquire a reservation."""
        return self.send_acquire(key, 0, kind, AcquireAction.ACQUIRE, io=io).status

    def preempt(self, key: int, preempted: int, kind: int, *, io: SharedHost | None = None) -> int:
        """Preempt."""
        return self.send_acquire(key, preempted, kind, AcquireAction.PREEMPT, io=io).status

    def send_acquire(
        self, key: int, preempted: int, kind: int, action: int, *, io: SharedHost | None = None, flags: int = 0
    ) -> Answer:
        """Reservation Acquire, and its answer."""
        data = ReservationAcquireData(crkey=key, prkey=preempted).encode()
        entry = sqe(IoOpcode.RESERVATION_ACQUIRE, nsid=1, cdw10=action | flags | kind << 8)
        return (io or self.io).do(entry, data=data)

    def begin_abort(
        self, key: int, preempted: int, kind: int, *, action: int = AcquireAction.PREEMPT_AND_ABORT
    ) -> int:
        """Send Preempt and Abort, or another action, and return its CID; it may take its time."""
        data = ReservationAcquireData(crkey=key, prkey=preempted).encode()
        word = action | kind << 8
        cid = self.io.send(sqe(IoOpcode.RESERVATION_ACQUIRE, nsid=1, cdw10=word), data=data, in_capsule=True)
        self.rig.pump()
        return cid

    def release(self, key: int, kind: int, *, action: int = ReleaseAction.RELEASE, flags: int = 0) -> int:
        """Release the reservation."""
        data = ReservationReleaseData(crkey=key).encode()
        entry = sqe(IoOpcode.RESERVATION_RELEASE, nsid=1, cdw10=action | flags | kind << 8)
        return self.io.do(entry, data=data).status

    def clear(self, key: int) -> int:
        """Clear reservation and registrations."""
        return self.release(key, 0, action=ReleaseAction.CLEAR)

    def report(self, *, nsid: int = 1) -> ReservationReport:
        """Reservation Report."""
        return decode_report(self.ask_report(length=report_bytes(16), nsid=nsid).data)

    def report_now(self) -> ReservationReport:
        """What a report would say, while the stores are held up."""
        return report_of(self.rig.subsystem, self.rig.subsystem.namespaces[1])

    def ask_report(self, *, length: int, extended: int = 1, nsid: int = 1) -> Answer:
        """Reservation Report of some length."""
        entry = sqe(IoOpcode.RESERVATION_REPORT, nsid=nsid, cdw10=length // 4 - 1, cdw11=extended)
        return self.io.do(entry, expect=length)

    def read(self, *, nsid: int = 1, io: SharedHost | None = None) -> int:
        """Read a block; the status."""
        return (io or self.io).io(IoOpcode.READ, 0, 1, expect=4096, nsid=nsid).status

    def write(self, *, nsid: int = 1, io: SharedHost | None = None) -> int:
        """Write a block; the status."""
        return (io or self.io).io(IoOpcode.WRITE, 0, 1, data=BLOCK, nsid=nsid).status

    def begin_write(self, *, io: SharedHost | None = None, in_capsule: bool = False, block: int = 0) -> int:
        """Send a write, and return its CID."""
        entry = sqe(IoOpcode.WRITE, nsid=1, cdw10=block)
        cid = (io or self.io).send(entry, data=BLOCK, in_capsule=in_capsule)
        self.rig.pump()
        return cid

    def await_event(self, admin: SharedHost | None = None) -> int:
        """Send an event request, and return its CID."""
        admin = admin or self.admin
        cid = admin.send(sqe(AdminOpcode.ASYNC_EVENT_REQUEST))
        self.rig.pump()
        return cid

    def notification(self, *, admin: SharedHost | None = None, rae: bool = False) -> ReservationNotification:
        """The oldest page of log 80h."""
        data = (admin or self.admin).log_page(LogPage.RESERVATION_NOTIFICATION, 64, nsid=0, rae=rae).data
        return ReservationNotification.decode(data)

    def notifications(self, admin: SharedHost | None = None) -> list[ReservationNotice]:
        """Everything in log 80h, which is empty afterwards."""
        found = []
        while (page := self.notification(admin=admin)).kind:
            found.append(ReservationNotice(page.kind))
        return found

    def feature(self, fid: FeatureId, *, nsid: int = 1, select: int = 0) -> Answer:
        """Get Features."""
        return self.admin.do(sqe(AdminOpcode.GET_FEATURES, nsid=nsid, cdw10=fid | select << 8))

    def set_feature(self, fid: FeatureId, value: int, *, nsid: int = 1) -> int:
        """Set Features; its status."""
        return self.admin.do(sqe(AdminOpcode.SET_FEATURES, nsid=nsid, cdw10=fid, cdw11=value)).status

    def last_error(self) -> ErrorLogEntry:
        """The newest entry of the error log."""
        return ErrorLogEntry.decode(self.admin.log_page(LogPage.ERROR, 64).data)

    def lose(self) -> None:
        """Lose every connection, I/O queues first."""
        for queue in (*self.ios, *self.admins):
            queue.queue.closed()


Hosts = tuple[Node, Node, Node]
KEY_A, KEY_B, KEY_C = 0xA, 0xB, 0xC


def three_hosts(rig: ReservationRig) -> Hosts:
    """Hosts that have registered keys A, B and C."""
    nodes = rig.host("a"), rig.host("b"), rig.host("c")
    for node, key in zip(nodes, (KEY_A, KEY_B, KEY_C), strict=True):
        assert node.register(key) == 0
    return nodes


def keys(node: Node) -> list[int]:
    """The keys that are registered."""
    return [entry.key for entry in node.report().registrants]


def holders(node: Node) -> list[int]:
    """The keys of those who hold the reservation."""
    return [entry.key for entry in node.report().registrants if entry.is_holder]
