"""Identify: what a controller and its namespaces say about themselves.

Follows NVM Express Base 2.0 5.17 and NVM Command Set 1.0 4.1.5. Values of fields that Linux insists on are marked in
the reference of the Linux host: KAS, IOCCSZ, IORCSZ, CNTLID, ICDOFF.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stacks.nvme.target.ana import ANA_CAPABILITIES, ANA_GROUPS_MAX, ANATT_SECONDS
from stacks.nvme.target.ana_effects import WITHOUT_CAPACITY
from stacks.nvme.target.command import Command
from stacks.nvme.target.controller_kind import ADMINISTRATIVE, IO, QUEUE_ENTRIES_MAX
from stacks.nvme.target.copy import COPY_BLOCKS_MAX, COPY_RANGE_BLOCKS_MAX, COPY_RANGES_MAX
from stacks.nvme.target.errors import ERROR_LOG_ENTRIES, CommandError
from stacks.nvme.target.feature_values import WARNING_KELVIN
from stacks.nvme.target.fused import ACWU
from stacks.nvme.target.health import EVENTS_OF, WARNINGS
from stacks.nvme.target.keep_alive import KATO_GRANULARITY_MS
from stacks.nvme.target.subsystem import NAMESPACES_MAX
from wire.nvme.identifiers import IDENTIFY_BYTES, encode_identifiers
from wire.nvme.identify_codec import (
    IdentifyController,
    IdentifyControllerNvm,
    IdentifyNamespace,
    IdentifyNamespaceIndependent,
    LbaFormat,
)
from wire.nvme.kinds import IdentifierType
from wire.nvme.opcodes import NSID_BROADCAST, CommandSet, IdentifyCns
from wire.nvme.properties import VERSION_2_0
from wire.nvme.reservations import ReservationCapability
from wire.nvme.status import StatusCode
from wire.nvme.text import encode_nsids, padded

if TYPE_CHECKING:
    from stacks.nvme.target.controller import Controller
    from stacks.nvme.target.namespace import Namespace
    from stacks.nvme.target.queue import Queue


def identify(queue: Queue, command: Command) -> None:
    """Answer an Identify command; CommandError for a CNS that does not exist here."""
    controller = queue.controller
    assert controller is not None
    cns = command.words[10] & 0xFF
    pages = _PAGES if controller.kind is IO else _CONTROLLER_PAGES
    if cns not in pages:
        raise CommandError(StatusCode.INVALID_FIELD, f"no identify data {cns:#x}", location=40)
    queue.send_data(command, pages[cns](controller, command))


def controller_page(controller: Controller, _: Command) -> bytes:
    """CNS 01h, of every kind of controller."""
    port, subsystem = controller.port, controller.subsystem
    page = IdentifyController(
        sn=padded(subsystem.serial, 20, fill=b" "),
        mn=padded(subsystem.model, 40, fill=b" "),
        fr=padded(FIRMWARE_REVISION, 8, fill=b" "),
        mdts=(port.max_transfer_bytes // PAGE_BYTES).bit_length() - 1,
        cntlid=controller.cntlid,
        ver=VERSION_2_0,
        cntrltype=controller.kind.type,
        ctratt=CTRATT_HOST_ID_128_BITS | CTRATT_TRAFFIC_KEEP_ALIVE,
        oaes=EVENTS_OF[controller.kind.type] & ~WARNINGS,
        aerl=EVENT_REQUESTS_MAX - 1,
        lpa=LPA_EFFECTS | LPA_EXTENDED,
        elpe=ERROR_LOG_ENTRIES - 1,
        kas=KATO_GRANULARITY_MS // 100,
        maxcmd=QUEUE_ENTRIES_MAX,
        sgls=port.sgl_support,
        subnqn=padded(subsystem.nqn, 256),
    )
    if controller.kind is IO:
        _add_io_fields(page, controller)
    elif controller.kind is ADMINISTRATIVE:
        _add_management_fields(page)
    else:
        page.dctype = DCTYPE_DIRECT
    return page.encode()


def _add_management_fields(page: IdentifyController) -> None:
    # Of a controller that has no I/O queues and no namespaces.
    page.cmic = CMIC_MANY_PORTS | CMIC_MANY_CONTROLLERS
    page.acl = 3
    page.frmw = FRMW_ONE_SLOT_READ_ONLY
    page.lpa |= LPA_SCOPES
    page.wctemp, page.cctemp = WARNING_KELVIN, WARNING_KELVIN + 10


def _add_io_fields(page: IdentifyController, controller: Controller) -> None:
    page.rab = 6
    page.cmic = CMIC_MANY_PORTS | CMIC_MANY_CONTROLLERS | CMIC_ANA
    page.acl = 3
    page.frmw = FRMW_ONE_SLOT_READ_ONLY
    page.lpa |= LPA_SMART_PER_NAMESPACE | LPA_SCOPES
    page.wctemp, page.cctemp = WARNING_KELVIN, WARNING_KELVIN + 10
    page.anatt, page.anacap = ANATT_SECONDS, ANA_CAPABILITIES
    page.anagrpmax = page.nanagrpid = ANA_GROUPS_MAX
    page.sqes, page.cqes = 0x66, 0x44
    page.nn = page.mnan = NAMESPACES_MAX
    page.oncs = ONCS_COMPARE | ONCS_WRITE_UNCORRECTABLE | ONCS_DATASET_MANAGEMENT | ONCS_WRITE_ZEROES
    page.oncs |= ONCS_RESERVATIONS | ONCS_SAVE_AND_SELECT | ONCS_TIMESTAMP | ONCS_VERIFY | ONCS_COPY
    page.ocfs = OCFS_FORMAT_0
    page.fuses = FUSES_COMPARE_AND_WRITE
    page.acwu = ACWU
    page.vwc = VWC_PRESENT | VWC_FLUSH_OF_ONE_NAMESPACE
    page.ioccsz = (64 + controller.port.in_capsule_bytes) // 16
    page.iorcsz = 1
    page.msdbd = 1
    page.ofcs = OFCS_DISCONNECT


def _namespace_page(controller: Controller, command: Command) -> bytes:
    nsid = command.words[1]
    _check_nsid(nsid)
    namespace = controller.attachments.attached.get(nsid)
    if namespace is None:
        return bytes(IDENTIFY_BYTES)
    store = namespace.store
    has_capacity = controller.attachments.state_of(namespace) not in WITHOUT_CAPACITY
    page = IdentifyNamespace(
        nsze=namespace.block_count,
        ncap=namespace.block_count,
        nuse=namespace.block_count if has_capacity else 0,
        nmic=NMIC_SHARED,
        rescap=_reservation_capabilities(namespace),
        dlfeat=DLFEAT_WRITE_ZEROES_DEALLOCATES | (DLFEAT_ZEROES if store.is_zero_after_deallocate else 0),
        nvmcap=namespace.block_count * namespace.block_bytes if has_capacity else 0,
        anagrpid=namespace.ana_group,
        nsattr=int(store.is_read_only),
        mssrl=COPY_RANGE_BLOCKS_MAX,
        mcl=COPY_BLOCKS_MAX,
        msrc=COPY_RANGES_MAX - 1,
        nguid=namespace.identifier.bytes,
        lbaf=LbaFormat(lbads=namespace.block_shift).encode().ljust(256, b"\0"),
    )
    return page.encode()


def _active_list(controller: Controller, command: Command) -> bytes:
    after = command.words[1]
    if after >= NSID_BROADCAST - 1:
        raise CommandError(StatusCode.INVALID_NAMESPACE, "no list starts after that", location=4)
    nsids = [nsid for nsid in controller.attachments.attached if nsid > after]
    return encode_nsids(nsids[: IDENTIFY_BYTES // 4], IDENTIFY_BYTES)


def _descriptors(controller: Controller, command: Command) -> bytes:
    namespace = _active(controller, command)
    return encode_identifiers(
        [
            (IdentifierType.NGUID, namespace.identifier.bytes),
            (IdentifierType.UUID, namespace.identifier.bytes),
            (IdentifierType.CSI, bytes([CommandSet.NVM])),
        ]
    )


def _namespace_of_command_set(_: Controller, command: Command) -> bytes:
    # Nothing in it is for namespaces without protection information, so it looks like that of an inactive one.
    _check_csi(command)
    _check_nsid(command.words[1])
    return bytes(IDENTIFY_BYTES)


def _controller_of_command_set(_: Controller, command: Command) -> bytes:
    _check_csi(command)
    return IdentifyControllerNvm().encode()


def _active_list_of_command_set(controller: Controller, command: Command) -> bytes:
    _check_csi(command)
    return _active_list(controller, command)


def _independent_page(controller: Controller, command: Command) -> bytes:
    nsid = command.words[1]
    _check_nsid(nsid)
    namespace = controller.attachments.attached.get(nsid)
    if namespace is None:
        return bytes(IDENTIFY_BYTES)
    return IdentifyNamespaceIndependent(
        nmic=NMIC_SHARED,
        rescap=_reservation_capabilities(namespace),
        anagrpid=namespace.ana_group,
        nsattr=int(namespace.store.is_read_only),
        nstat=NSTAT_READY,
    ).encode()


def _reservation_capabilities(namespace: Namespace) -> int:
    persists = ReservationCapability.PERSISTS_THROUGH_POWER_LOSS if namespace.reservations.can_persist else 0
    return RESCAP_ALL_TYPES | persists


def _command_sets(controller: Controller, command: Command) -> bytes:
    cntid = command.words[10] >> 16
    if cntid not in (0xFFFF, controller.cntlid):
        raise CommandError(StatusCode.INVALID_FIELD, f"no controller {cntid}", location=42)
    return (1 << CommandSet.NVM).to_bytes(8, "little").ljust(IDENTIFY_BYTES, b"\0")


def _active(controller: Controller, command: Command) -> Namespace:
    nsid = command.words[1]
    _check_nsid(nsid)
    namespace = controller.attachments.attached.get(nsid)
    if namespace is None:
        raise CommandError(StatusCode.INVALID_FIELD, f"no namespace {nsid}", location=4)
    return namespace


def _check_nsid(nsid: int) -> None:
    if not 1 <= nsid <= NAMESPACES_MAX:
        raise CommandError(StatusCode.INVALID_NAMESPACE, f"{nsid} is no namespace ID", location=4)


def _check_csi(command: Command) -> None:
    if command.words[11] >> 24 != CommandSet.NVM:
        raise CommandError(StatusCode.INVALID_FIELD, f"no command set {command.words[11] >> 24}", location=47)


FIRMWARE_REVISION = "0.1.0"
PAGE_BYTES = 4096
"""CAP.MPSMIN, the unit of MDTS."""
EVENT_REQUESTS_MAX = 4
"""AERL + 1."""

CTRATT_HOST_ID_128_BITS = 1 << 0
CTRATT_TRAFFIC_KEEP_ALIVE = 1 << 6
CMIC_MANY_PORTS, CMIC_MANY_CONTROLLERS, CMIC_ANA = 1 << 0, 1 << 1, 1 << 3
FRMW_ONE_SLOT_READ_ONLY = 0x03
LPA_SMART_PER_NAMESPACE, LPA_EFFECTS, LPA_EXTENDED = 1 << 0, 1 << 1, 1 << 2
LPA_SCOPES = 1 << 5
"""Log pages 00h, 12h and 13h are there, and page 05h has scopes."""
ONCS_COMPARE, ONCS_WRITE_UNCORRECTABLE, ONCS_DATASET_MANAGEMENT, ONCS_WRITE_ZEROES = 1 << 0, 1 << 1, 1 << 2, 1 << 3
ONCS_SAVE_AND_SELECT, ONCS_TIMESTAMP, ONCS_VERIFY, ONCS_COPY = 1 << 4, 1 << 6, 1 << 7, 1 << 8
FUSES_COMPARE_AND_WRITE = 1 << 0
OCFS_FORMAT_0 = 1 << 0
"""Copy takes source ranges of descriptor format 0h."""
ONCS_RESERVATIONS = 1 << 5
VWC_PRESENT, VWC_FLUSH_OF_ONE_NAMESPACE = 1 << 0, 2 << 1
OFCS_DISCONNECT = 1 << 0
DCTYPE_DIRECT = 1
"""A discovery controller that knows its own subsystems (NVMe Base 2.1 5.1.13.2.1); without it a host ignores what log
page 00h says of port-local entries."""
NMIC_SHARED = 1 << 0
NSTAT_READY = 1 << 0
RESCAP_ALL_TYPES = ~ReservationCapability.PERSISTS_THROUGH_POWER_LOSS & 0xFF
"""Every type of reservation, and IEKEY as since NVMe 1.3."""
DLFEAT_ZEROES, DLFEAT_WRITE_ZEROES_DEALLOCATES = 1, 1 << 3

_Page = Callable[["Controller", Command], bytes]

_CONTROLLER_PAGES: dict[int, _Page] = {IdentifyCns.CONTROLLER.value: controller_page}
"""Of controllers without namespaces."""

_PAGES: dict[int, _Page] = {
    IdentifyCns.NAMESPACE.value: _namespace_page,
    IdentifyCns.CONTROLLER.value: controller_page,
    IdentifyCns.ACTIVE_NAMESPACES.value: _active_list,
    IdentifyCns.NAMESPACE_DESCRIPTORS.value: _descriptors,
    IdentifyCns.NAMESPACE_OF_COMMAND_SET.value: _namespace_of_command_set,
    IdentifyCns.CONTROLLER_OF_COMMAND_SET.value: _controller_of_command_set,
    IdentifyCns.ACTIVE_NAMESPACES_OF_COMMAND_SET.value: _active_list_of_command_set,
    IdentifyCns.NAMESPACE_INDEPENDENT.value: _independent_page,
    IdentifyCns.COMMAND_SETS.value: _command_sets,
}
