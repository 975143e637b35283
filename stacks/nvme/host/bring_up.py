"""The sequences that start, refresh and end an association, in the order that Linux uses.

    admin queue, Connect, CAP, CC.EN, CSTS.RDY, VS, Identify; I/O queues with a Connect each; events; namespaces

Follows NVMe over Fabrics 1.1 (3.3), NVMe Base 2.0 3.5 and 3.6.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING

from stacks.nvme.host.ana import read_ana_log, reports_ana
from stacks.nvme.host.command import (
    HostCommand,
    get_log_page,
    identify,
    property_get,
    property_set,
    set_features,
)
from stacks.nvme.host.configuration import HostConfig
from stacks.nvme.host.errors import CommandFailed, ConnectionFailed
from stacks.nvme.host.identity import NamespaceIdentity
from stacks.nvme.host.namespace import HostNamespace
from stacks.nvme.host.queue import ENTRIES_MAX, PAIR, HostQueue
from stacks.nvme.host.script import Step, Steps
from wire.errors import WireError
from wire.nvme.fabrics_codec import ConnectData
from wire.nvme.identifiers import decode_identifiers
from wire.nvme.identify_codec import IdentifyController, IdentifyNamespace, LbaFormat
from wire.nvme.opcodes import (
    CNTLID_DYNAMIC,
    AdminOpcode,
    ConnectAttribute,
    EventConfiguration,
    FabricsType,
    FeatureId,
    IdentifyCns,
    LogPage,
)
from wire.nvme.properties import PropertyOffset, ShutdownNotification, ShutdownStatus
from wire.nvme.registers_codec import ControllerCapabilities, ControllerConfiguration, ControllerStatus
from wire.nvme.status import StatusCode
from wire.nvme.text import decode_nsids, padded

if TYPE_CHECKING:
    from stacks.nvme.host.controller import HostController

Part = Generator[Step, HostCommand | None, HostCommand]


def start(host: HostController) -> Steps:
    """From nothing to an association that takes I/O."""
    admin = host.admin
    yield admin
    connected = yield from _connect(host, admin, cntlid=CNTLID_DYNAMIC)
    host.cntlid = connected.dw0 & 0xFFFF
    yield from _enable(host)
    yield from _identify_controller(host)
    if host.identity.crdt1:
        # Only who says so is told how long to wait before a command is sent again (CRD). A refusal does no harm.
        yield set_features(FeatureId.HOST_BEHAVIOR, 0, data=memoryview(ACCEPT_RETRY_DELAYS))
    if host.has_io:
        yield from _open_io_queues(host)
    if reports_ana(host):
        host.ana.is_reported = True
        yield from read_ana_log(host)
    wanted = host.identity.oaes & _EVENTS
    if wanted:
        yield from _done(set_features(FeatureId.ASYNC_EVENT_CONFIGURATION, wanted), "set features")
        host.request_event()
    if host.has_io:
        yield from refresh_namespaces(host)


def refresh_namespaces(host: HostController) -> Steps:
    """Read which namespaces there are, and what each is like; those that cannot be used are `hidden`."""
    page = memoryview(bytearray(4096))
    found: dict[int, HostNamespace] = {}
    hidden: dict[int, str] = {}
    after = 0
    while True:
        yield from _done(identify(IdentifyCns.ACTIVE_NAMESPACES, page, nsid=after), "identify the active namespaces")
        nsids = [nsid for nsid in decode_nsids(page) if nsid > after]
        for nsid in nsids:
            answer = yield identify(IdentifyCns.NAMESPACE, page, nsid=nsid)
            assert answer is not None
            if answer.status in (StatusCode.INVALID_NAMESPACE, StatusCode.INVALID_FIELD):
                # It went while we were looking; an event says so, too.
                continue
            answer.check(f"identify namespace {nsid}")
            data = IdentifyNamespace.decode(page)
            if not data.nsze:
                continue
            layout = LbaFormat.decode(data.lbaf, (data.flbas & 0xF) * LbaFormat.SIZE)
            reason = _why_unusable(host, layout)
            if reason:
                hidden[nsid] = reason
                continue
            namespace = host.namespaces.get(nsid) or HostNamespace(host, nsid)
            namespace.describe(data, block_bytes=1 << layout.lbads)
            namespace.compare_and_write_blocks = _pair_blocks(host, data, block_bytes=1 << layout.lbads)
            namespace.identity = yield from _identity(host, nsid, data, page)
            found[nsid] = namespace
        if len(nsids) < NSIDS_OF_A_PAGE or nsids[-1] >= NSID_LAST:
            break
        after = nsids[-1]
    host.namespaces, host.hidden = found, hidden


def _identity(
    host: HostController, nsid: int, data: IdentifyNamespace, page: memoryview
) -> Generator[Step, HostCommand | None, NamespaceIdentity]:
    identifiers: list[tuple[int, bytes]] = []
    if host.version >= VERSION_WITH_DESCRIPTORS:
        answer = yield identify(IdentifyCns.NAMESPACE_DESCRIPTORS, page, nsid=nsid)
        # A controller without this list, or with one that makes no sense, still has what Identify Namespace says.
        if answer is not None and not answer.status:
            with contextlib.suppress(WireError):
                identifiers = decode_identifiers(page)
    return NamespaceIdentity.of(data, identifiers)


def _why_unusable(host: HostController, layout: LbaFormat) -> str:
    if not LBADS_MIN <= layout.lbads <= LBADS_MAX:
        return f"blocks of 2^{layout.lbads} bytes are not supported"
    if layout.ms:
        return f"blocks with {layout.ms} bytes of metadata are not supported"
    if 1 << layout.lbads > host.max_transfer_bytes:
        return f"its blocks of {1 << layout.lbads} bytes are more than the {host.max_transfer_bytes} of one command"
    return ""


def _pair_blocks(host: HostController, data: IdentifyNamespace, *, block_bytes: int) -> int:
    # ACWU, or NACWU where the namespace has its own; both are 0-based (NVM Command Set 1.0 2.1.4).
    has_room = all(queue.entries > PAIR for queue in host.io_queues)
    if not host.identity.fuses & FUSES_COMPARE_AND_WRITE or not has_room:
        return 0
    own = data.nacwu if data.nsfeat & NSFEAT_OWN_ATOMICITY else 0
    return min((own or host.identity.acwu) + 1, host.max_transfer_bytes // block_bytes)


def changed_namespaces(host: HostController) -> Steps:
    """After an event: read (and thereby clear) the list of changed namespaces, then look at all of them again."""
    page = memoryview(bytearray(4096))
    yield from _done(get_log_page(LogPage.CHANGED_NAMESPACES, page), "read the changed namespaces")
    yield from refresh_namespaces(host)


def stop(host: HostController) -> Steps:
    """An orderly end: I/O queues are closed, then the controller shuts down; the admin queue is the caller's."""
    for queue in host.io_queues:
        host.close(queue, "shut down")
    configuration = ControllerConfiguration.decode(host.configuration.to_bytes(4, "little"))
    configuration.shn = ShutdownNotification.NORMAL
    value = int.from_bytes(configuration.encode(), "little")
    yield from _done(property_set(PropertyOffset.CC, value), "shut down")
    for _ in range(SHUTDOWN_POLLS):
        answer = yield from _done(property_get(PropertyOffset.CSTS), "shut down")
        if ControllerStatus.decode(answer.dw0.to_bytes(4, "little")).shst == ShutdownStatus.COMPLETE:
            break
        yield POLL_NS


def _connect(host: HostController, queue: HostQueue, *, cntlid: int) -> Part:
    config = host.config
    data = ConnectData(
        hostid=config.host_identifier,
        cntlid=cntlid,
        subnqn=padded(config.nqn, 256),
        hostnqn=padded(config.host_nqn, 256),
    )
    command = HostCommand(AdminOpcode.FABRICS.value, FabricsType.CONNECT, data=memoryview(data.encode()))
    command.cdw10 = queue.qid << 16
    attributes = 0 if host.has_sq_flow_control else ConnectAttribute.DISABLE_SQ_FLOW_CONTROL.value
    command.cdw11 = queue.entries - 1 | attributes << 16
    command.cdw12 = 0 if queue.qid else config.keep_alive_ms
    command.queue = queue
    try:
        return (yield from _done(command, f"connect to {config.nqn}"))
    except CommandFailed as error:
        raise _explained(error, config) from error


def _explained(error: CommandFailed, config: HostConfig) -> CommandFailed | ConnectionFailed:
    if error.code == StatusCode.CONNECT_INVALID_PARAMETERS and error.dw0 == SUBNQN_IN_DATA:
        reason = f"the target has no subsystem {config.nqn}; `discover` lists those it has"
        return ConnectionFailed(reason, is_final=error.is_final)
    if error.code == StatusCode.CONNECT_INVALID_HOST:
        return ConnectionFailed(f"{config.nqn} does not let host {config.host_nqn} in", is_final=error.is_final)
    return error


def _enable(host: HostController) -> Generator[Step, HostCommand | None, None]:
    answer = yield from _done(property_get(PropertyOffset.CAP, size=8), "read CAP")
    host.capabilities = ControllerCapabilities.decode((answer.dw0 | answer.dw1 << 32).to_bytes(8, "little"))
    css = CSS_ALL if host.capabilities.css & CAP_CSS_MANY else CSS_NVM
    configuration = ControllerConfiguration(iosqes=6, iocqes=4, css=css, en=1)
    host.configuration = int.from_bytes(configuration.encode(), "little")
    yield from _done(property_set(PropertyOffset.CC, host.configuration), "enable the controller")
    for _ in range(max(1, host.capabilities.timeout) * POLLS_PER_HALF_SECOND):
        answer = yield from _done(property_get(PropertyOffset.CSTS), "read CSTS")
        status = ControllerStatus.decode(answer.dw0.to_bytes(4, "little"))
        if status.cfs:
            raise ConnectionFailed("the controller reports a fatal error instead of becoming ready")
        if status.rdy:
            break
        yield POLL_NS
    else:
        raise ConnectionFailed("the controller does not become ready in the time that it names itself")
    answer = yield from _done(property_get(PropertyOffset.VS), "read VS")
    host.version = answer.dw0


def _identify_controller(host: HostController) -> Generator[Step, HostCommand | None, None]:
    page = memoryview(bytearray(4096))
    yield from _done(identify(IdentifyCns.CONTROLLER, page), "identify the controller")
    host.identity = identity = IdentifyController.decode(page)
    if identity.cntlid != host.cntlid:
        raise ConnectionFailed(f"the controller calls itself {identity.cntlid}, but Connect said {host.cntlid}")
    if host.has_io and (identity.ioccsz < 4 or identity.iorcsz < 1):
        raise ConnectionFailed("the controller's capsules are too small for a command")


def _open_io_queues(host: HostController) -> Generator[Step, HostCommand | None, None]:
    wanted = host.config.io_queues
    answer = yield from _done(
        set_features(FeatureId.NUMBER_OF_QUEUES, (wanted - 1) << 16 | (wanted - 1)), "set the number of queues"
    )
    granted = min(answer.dw0 & 0xFFFF, answer.dw0 >> 16) + 1
    assert host.capabilities is not None
    entries = min(host.config.queue_entries, host.capabilities.mqes + 1, host.identity.maxcmd or 1 << 16, ENTRIES_MAX)
    for qid in range(1, min(wanted, granted) + 1):
        queue = host.add_io_queue(qid, max(2, entries))
        yield queue
        yield from _connect(host, queue, cntlid=host.cntlid)


def _done(command: HostCommand, what: str) -> Part:
    answer = yield command
    assert answer is not None
    answer.check(what)
    return answer


LBADS_MIN, LBADS_MAX = 9, 16
"""512 bytes to 64 KiB; the NVM command set has none smaller, and nobody makes larger ones."""
NSIDS_OF_A_PAGE = 1024
NSID_LAST = 0xFFFFFFFD
"""A list can start after this one and no later."""

CSS_NVM, CSS_ALL = 0, 6
CAP_CSS_MANY = 1 << 6
SUBNQN_IN_DATA = 256 | 1 << 16
"""DW0 of a refused Connect: the byte at fault is the subsystem NQN in the data."""

FUSES_COMPARE_AND_WRITE = 1 << 0
NSFEAT_OWN_ATOMICITY = 1 << 1
ACCEPT_RETRY_DELAYS = b"\1".ljust(512, b"\0")
"""Host Behavior Support with ACRE (NVMe Base 2.0 5.27.1.14)."""
VERSION_WITH_DESCRIPTORS = 0x10300

POLL_NS = 100_000_000
POLLS_PER_HALF_SECOND = 5
SHUTDOWN_POLLS = 50

_EVENTS = (
    EventConfiguration.NAMESPACE_ATTRIBUTE.value
    | EventConfiguration.ANA_CHANGE.value
    | EventConfiguration.DISCOVERY_CHANGE.value
)
