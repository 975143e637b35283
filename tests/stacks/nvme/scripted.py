"""Controllers whose answers a test writes, and a connector to them: no transport, and time moves when told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stacks.nvme.host import HostCommand, HostConfig, HostController, Multipath, Path, Policy, ReconnectPolicy
from tests.stacks.nvme.core_rig import NQN
from wire.nvme.identifiers import encode_identifiers
from wire.nvme.identify_codec import IdentifyController, IdentifyNamespace, LbaFormat
from wire.nvme.kinds import IdentifierType
from wire.nvme.logs_codec import AnaGroup, AnaHeader
from wire.nvme.opcodes import AdminOpcode, FabricsType, IdentifyCns, LogPage
from wire.nvme.properties import PropertyOffset
from wire.nvme.status import status_code, status_word
from wire.nvme.text import encode_nsids

SECOND = 1_000_000_000
BLOCK = 4096
SHUTDOWN = 3 << 14
ANA_EVENT = 0x000C0302
NAMESPACE_EVENT = 0x00040002


@dataclass
class Disk:
    """A namespace of a scripted controller."""

    uuid: bytes = b"disk disk disk 1"
    blocks: int = 1024
    lbads: int = 12
    group: int = 1
    nmic: int = 1


@dataclass
class ScriptedController:
    """What answers at an address.

    ana: states by group, None for no ANA; refusal: status word of Connect; is_there: whether anyone answers at all.
    held: I/O commands that were sent and not answered; admin: opcodes of admin commands that came.
    answers: opcode of an admin command to the status word it ends with, or None for no answer.
    """

    disks: dict[int, Disk] = field(default_factory=lambda: {1: Disk()})
    ana: dict[int, int] | None = None
    refusal: int = 0
    is_there: bool = True
    held: list[HostCommand] = field(default_factory=list)
    admin: list[int] = field(default_factory=list)
    aborts: list[tuple[int, int]] = field(default_factory=list)
    answers: dict[int, int | None] = field(default_factory=dict)
    identity: dict[str, Any] = field(default_factory=dict)
    features: list[tuple[int, bytes]] = field(default_factory=list)
    event_requests: list[HostCommand] = field(default_factory=list)
    csts: int = 0


class ScriptedConnector:
    """A `Connector` to controllers by address; `run` and `advance` have things happen."""

    def __init__(self, **controllers: ScriptedController) -> None:
        self.transport = "scripted"
        self.policies: dict[Policy, None] = {}
        self.hosts: list[HostController] = []
        self.controllers = controllers
        self.addresses: dict[HostController, str] = {}
        self.now = 0

    def connect(self, address: str, config: HostConfig, now: int, *, port: int = 4420) -> HostController:
        """Begin an association."""
        host = HostController(config)
        self.hosts.append(host)
        self.addresses[host] = address
        host.start(now)
        return host

    def forget(self, host: HostController) -> None:
        """Drop an association that is closed."""
        assert host.is_closed
        self.hosts.remove(host)
        del self.addresses[host]

    def path(self, address: str, *, policy: ReconnectPolicy | None = None, **config: Any) -> Path:
        """A new path."""
        return Path(
            self, address, HostConfig(**{"nqn": NQN, **config}), port=4420, policy=policy or ReconnectPolicy()
        )

    def add(self, multipath: Multipath, address: str, *, policy: ReconnectPolicy | None = None, **config: Any) -> Path:
        """A live path of a multipath."""
        path = self.path(address, policy=policy, **config)
        multipath.add(path, self.now)
        self.run()
        return path

    def lose(self, address: str, reason: str = "the wire broke") -> None:
        """Break every connection to an address, the I/O queues' first."""
        self.controllers[address].held.clear()
        for host, where in list(self.addresses.items()):
            if where == address and not host.is_closed:
                host.handle_lost(host.queues[-1], reason, self.now)
        self.run()

    def answer(self, command: HostCommand, word: int = 0, dw0: int = 0) -> None:
        """Complete a command; word: its status word."""
        queue = command.queue
        assert queue is not None
        found = queue.command_of(command.cid)
        if found is command:
            command.status_word = word
            queue.complete(command, status_code(word), dw0=dw0)

    def answer_held(self, address: str, word: int = 0) -> int:
        """Answer all I/O that is held there; how many that was."""
        held, self.controllers[address].held = self.controllers[address].held, []
        for command in held:
            self.answer(command, word)
        self.run()
        return len(held)

    def event(self, address: str, dw0: int) -> None:
        """Send an asynchronous event."""
        self.answer(self.controllers[address].event_requests.pop(0), dw0=dw0)
        self.run()

    def advance(self, duration_ns: int) -> None:
        """Let time pass, from deadline to deadline."""
        end = self.now + duration_ns
        self.run()
        while (due := self._deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.run()
        self.now = end
        self.run()

    def run(self) -> None:
        """Do everything that can be done now."""
        while self._pass():
            pass

    def _deadline(self) -> int | None:
        each: list[HostController | Policy] = [*self.hosts, *self.policies]
        return min((due for one in each if (due := one.poll_deadline()) is not None), default=None)

    def _pass(self) -> bool:
        did = False
        for each in [*self.hosts, *self.policies]:
            due = each.poll_deadline()
            if due is not None and due <= self.now:
                each.handle_timeout(self.now)
                did = True
        for host in list(self.hosts):
            host.tick(self.now)
            did = self._serve(host) or did
        return did

    def _serve(self, host: HostController) -> bool:
        address = self.addresses[host]
        controller = self.controllers[address]
        host.poll_closings()
        openings = host.poll_openings()
        for queue in openings:
            if controller.is_there:
                host.handle_opened(queue, self.now)
            else:
                host.handle_lost(queue, f"no answer from {address}", self.now)
        did = bool(openings)
        for queue in list(host.queues):
            outgoing, queue.outgoing = queue.outgoing, []
            for command in outgoing:
                did = True
                if queue.qid and command.opcode != AdminOpcode.FABRICS:
                    controller.held.append(command)
                else:
                    self._answer_admin(controller, command)
        return did

    def _answer_admin(self, controller: ScriptedController, command: HostCommand) -> None:
        controller.admin.append(command.opcode)
        word = controller.answers.get(command.opcode, 0)
        if command.opcode == AdminOpcode.ABORT:
            controller.aborts.append((command.cdw10 & 0xFFFF, command.cdw10 >> 16))
        if word is None:
            return
        if word:
            self.answer(command, word)
            return
        handlers: dict[int, Callable[[ScriptedController, HostCommand], int | None]] = {
            AdminOpcode.FABRICS: _fabrics,
            AdminOpcode.IDENTIFY: _identify,
            AdminOpcode.GET_LOG_PAGE: _log_page,
            AdminOpcode.SET_FEATURES: _set_features,
            AdminOpcode.ASYNC_EVENT_REQUEST: _event_request,
        }
        dw0 = handlers.get(command.opcode, lambda *_: 0)(controller, command)
        if dw0 is not None:
            refused = command.opcode == AdminOpcode.FABRICS and command.nsid == FabricsType.CONNECT
            self.answer(command, controller.refusal if refused else 0, dw0=dw0)


def _fabrics(controller: ScriptedController, command: HostCommand) -> int:
    if command.nsid == FabricsType.CONNECT:
        return 1
    if command.nsid == FabricsType.PROPERTY_SET:
        controller.csts = 9 if command.cdw12 & SHUTDOWN else 1
        return 0
    values = {PropertyOffset.CAP: 0x0F0003FF, PropertyOffset.VS: 0x20000, PropertyOffset.CSTS: controller.csts}
    return values[PropertyOffset(command.cdw11)]


def _identify(controller: ScriptedController, command: HostCommand) -> int:
    assert command.data is not None
    disk = controller.disks.get(command.nsid, Disk())
    if command.cdw10 == IdentifyCns.CONTROLLER:
        values = {"cmic": 11 if controller.ana is not None else 3, "anatt": 10, "nanagrpid": 8, "mnan": 8, "nn": 8}
        values |= {"cntlid": 1, "ioccsz": 4, "iorcsz": 1, "oaes": 0x900, "acl": 3, **controller.identity}
        command.data[:] = IdentifyController(**values).encode()
    elif command.cdw10 == IdentifyCns.ACTIVE_NAMESPACES:
        command.data[:] = encode_nsids([nsid for nsid in sorted(controller.disks) if nsid > command.nsid], 4096)
    elif command.cdw10 == IdentifyCns.NAMESPACE_DESCRIPTORS:
        command.data[:] = encode_identifiers([(IdentifierType.UUID, disk.uuid)])
    else:
        lbaf = LbaFormat(lbads=disk.lbads).encode().ljust(256, b"\0")
        page = IdentifyNamespace(nsze=disk.blocks, lbaf=lbaf, anagrpid=disk.group, nmic=disk.nmic)
        command.data[:] = page.encode()
    return 0


def _log_page(controller: ScriptedController, command: HostCommand) -> int:
    assert command.data is not None
    if command.cdw10 & 0xFF == LogPage.ANA:
        assert controller.ana is not None
        log = AnaHeader(groups=len(controller.ana)).encode()
        for group, state in controller.ana.items():
            nsids = [nsid for nsid, disk in controller.disks.items() if disk.group == group]
            log += AnaGroup(group=group, nsids=len(nsids), state=state).encode() + encode_nsids(nsids)
        command.data[:] = log[: len(command.data)].ljust(len(command.data), b"\0")
    return 0


def _set_features(controller: ScriptedController, command: HostCommand) -> int:
    controller.features.append((command.cdw10 & 0xFF, bytes(command.data or b"")))
    return 0x00070007


def _event_request(controller: ScriptedController, command: HostCommand) -> None:
    controller.event_requests.append(command)


__all__ = ["ANA_EVENT", "BLOCK", "SECOND", "Disk", "ScriptedConnector", "ScriptedController", "status_word"]
