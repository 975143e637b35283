"""What an initiator lets targets do, and what it does when several things happen at once."""

from __future__ import annotations

import random

import pytest

from stacks.nvme.bindings.rdma import RdmaInitiator, RdmaInitiatorConfig
from stacks.nvme.host import HostConfig
from stacks.nvme.stores import MemoryStore
from stacks.rdma import Access, Device, DeviceConfig
from stacks.rdma.cm import CmConfig
from stacks.rdma.enums import AsyncEventType
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.rdma_rig import RdmaRig
from tests.stacks.nvme.transfers import INITIATOR, SECOND, TARGET
from transports.packets import Packet
from wire.nvme.commands_codec import SubmissionEntry
from wire.nvme.opcodes import AdminOpcode, IdentifyCns, IoOpcode
from wire.nvme.sgl_codec import KeyedSgl

BTH_BYTES = 12
SEND_ONLY = 0x04
RIGHTS = Access.LOCAL_WRITE | Access.REMOTE_READ | Access.REMOTE_WRITE


def capsules(rig: RdmaRig) -> list[SubmissionEntry]:
    """Notes what the initiator sends from now on; packets of one SEND that are long enough to be a capsule."""
    seen: list[SubmissionEntry] = []

    def note(packet: Packet) -> list[Packet]:
        body = packet.payload
        if packet.source[0] == INITIATOR and body[0] == SEND_ONLY and len(body) >= BTH_BYTES + SubmissionEntry.SIZE:
            seen.append(SubmissionEntry.decode(body, BTH_BYTES))
        return [packet]

    rig.network.hook = note
    return seen


def test_a_key_gives_the_right_that_its_command_needs_and_no_other() -> None:
    rig = RdmaRig()
    hosts = [rig.connect(HostConfig(nqn=NQN, host_nqn=f"nqn.2026-11.io.baremetal:host{index}")) for index in range(2)]
    seen = capsules(rig)
    for host in hosts:
        data = memoryview(bytearray(40 * 4096))
        assert rig.do(host.namespace().write(0, data)) == 0
        assert rig.do(host.namespace().read(0, data)) == 0
    regions = rig.initiator.device.memory.regions
    keys: dict[int, list[int]] = {IoOpcode.READ: [], IoOpcode.WRITE: []}
    for entry in seen:
        keys[entry.opcode].append(KeyedSgl.decode(entry.sgl).key)
    assert [regions[key].access & RIGHTS for key in keys[IoOpcode.WRITE]] == 2 * [Access.REMOTE_READ]
    assert [regions[key].access & RIGHTS for key in keys[IoOpcode.READ]] == 2 * [RIGHTS & ~Access.REMOTE_READ]
    assert len({*keys[IoOpcode.READ], *keys[IoOpcode.WRITE]}) == 4
    for host in hosts:
        host.stop(rig.simulation.now)
    rig.run_until(lambda: all(host.is_closed for host in hosts) and rig.initiator.is_quiet)
    assert regions == {}


@pytest.mark.parametrize(("wanted", "limit", "largest"), [(4096, 4096, 4096), (4096, 1024, 1024), (512, 2048, 512)])
def test_packets_are_no_larger_than_the_device_takes(wanted: int, limit: int, largest: int) -> None:
    rig = RdmaRig()
    config = DeviceConfig(cm=CmConfig(max_path_mtu=limit))
    core = RdmaInitiator(
        Device("192.0.2.9", config=config, rng=random.Random(1)), config=RdmaInitiatorConfig(path_mtu=wanted)
    )
    core_host = rig.network.attach(core, core.device.address)
    sizes = []

    def note(packet: Packet) -> list[Packet]:
        sizes.append(len(packet.payload))
        return [packet]

    rig.network.hook = note
    host = core.connect(TARGET, HostConfig(nqn=NQN), rig.simulation.now)
    core_host.wake()
    rig.run_until(lambda: host.is_live)
    transfer = host.namespace().read(0, memoryview(bytearray(40 * 4096)))
    core_host.wake()
    rig.finish(transfer)
    assert transfer.status == 0
    assert largest + BTH_BYTES <= max(sizes) <= largest + 64


def test_asynchronous_events_of_the_device_are_counted() -> None:
    rig = RdmaRig()
    rig.connect()
    rig.initiator.device.raise_event(AsyncEventType.CQ_ERR)
    rig.initiator.handle_timeout(rig.simulation.now)
    assert rig.initiator.async_events == 1
    assert rig.initiator.device.poll_async_event() is None


def test_an_association_that_is_forgotten_in_a_callback_does_not_hide_the_next_one() -> None:
    rig = RdmaRig(MemoryStore(1 << 20), executor=None)
    config = HostConfig(nqn=NQN, keep_alive_ms=0, command_timeout_ns=10 * SECOND)
    ended, first, second = rig.connect(config), rig.connect(config), rig.connect(config)
    ended.stop(rig.simulation.now)
    rig.run_until(lambda: ended.is_closed and rig.initiator.is_quiet)
    # The list is looked at in order; what the callback takes out of it lies before the one that is looked at.
    first.namespace().read(0, memoryview(bytearray(4096)), done=lambda _: rig.initiator.forget(ended))
    second.namespace().read(0, memoryview(bytearray(4096)))
    rig.run_for(SECOND)
    # They are late, and later they are not ended by an Abort either.
    rig.initiator.handle_timeout(rig.simulation.now + 60 * SECOND)
    rig.initiator.handle_timeout(rig.simulation.now + 120 * SECOND)
    assert rig.initiator.hosts == [first, second]
    assert first.is_closed
    assert second.is_closed


def test_changes_of_namespaces_are_read_one_after_the_other_until_nothing_is_new() -> None:
    rig = RdmaRig()
    host = rig.connect()
    seen = capsules(rig)
    for _ in range(12):
        rig.subsystem.add_namespace(MemoryStore(1 << 16))
        rig.run_for(30_000)
    rig.run_until(lambda: len(host.namespaces) == 13, timeout_ns=SECOND)
    rig.run_for(SECOND // 10)
    rounds = " ".join(step(entry) for entry in seen).split("log")[1:]
    assert len(rounds) > 1
    for number, words in enumerate(rounds):
        first, *nsids = words.split()
        assert first == "list"
        assert nsids == [str(nsid) for nsid in range(1, len(nsids) + 1)]
        assert number + 1 < len(rounds) or len(nsids) == 13


def step(entry: SubmissionEntry) -> str:
    """What part of reading the changes a command is: the log, the list, or the number of a namespace."""
    if entry.opcode == AdminOpcode.GET_LOG_PAGE:
        return "log"
    if entry.opcode == AdminOpcode.IDENTIFY:
        kinds = {IdentifyCns.ACTIVE_NAMESPACES: "list", IdentifyCns.NAMESPACE: str(entry.nsid)}
        return kinds.get(IdentifyCns(entry.cdw10), "")
    return ""
