"""What one client may use up, and that it is his alone."""

from __future__ import annotations

import random

import pytest

from stacks.nvme.host import Region
from stacks.nvme.nbd import Export, NbdConfig, NbdServer
from stacks.nvme.nbd.request import HEAD_BYTES, Requests
from stacks.runtime import LocalError
from tests.stacks.nvme.nbd.disk import Disk
from tests.stacks.nvme.nbd.rig import NbdRig
from wire.nbd import CommandKind

MIB = 1 << 20


def test_a_client_that_reads_no_replies_holds_nobody_up_and_is_served_when_he_does() -> None:
    rig = NbdRig(config=NbdConfig(client_requests=16), capacity_bytes=1 << 15)
    rig.disk.memory[:] = random.Random(1).randbytes(MIB)
    slow, other = rig.client(), rig.client()
    slow.core.is_deaf = True
    asked = {slow.core.say_request(CommandKind.READ, at * 4096, 4096): at for at in range(256)}
    slow.say()
    assert len(rig.disk.operations) <= 16 + 8
    assert rig.server.counters.waits > 0
    for at in range(50):
        assert other.read(at * 512, 512) == rig.disk.memory[at * 512 : at * 512 + 512]
    slow.core.is_deaf = False
    slow.finish(*asked)
    for cookie, at in asked.items():
        assert slow.core.replies[cookie].data == rig.disk.memory[at * 4096 : at * 4096 + 4096]


def test_no_more_requests_are_under_way_than_allowed_whatever_they_are() -> None:
    rig = NbdRig(config=NbdConfig(client_requests=8))
    client = rig.client()
    rig.disk.is_held = True
    kinds = [CommandKind.READ, CommandKind.FLUSH, CommandKind.TRIM, CommandKind.WRITE_ZEROES]
    cookies = [
        client.core.say_request(kinds[at % 4], 0, 0 if kinds[at % 4] == CommandKind.FLUSH else 512) for at in range(64)
    ]
    client.say()
    assert rig.disk.pending == 8
    assert rig.server.clients[0].under_way == 8
    rig.let_disk_go_on()
    assert [reply.error for reply in client.finish(*cookies)] == [0] * 64


@pytest.mark.slow
def test_large_requests_wait_for_memory_and_all_are_carried_out() -> None:
    rig = NbdRig(Disk(4096, 10240), cuts=False, capacity_bytes=1 << 22)
    rig.disk.memory[:] = random.Random(2).randbytes(4 * MIB) * 10
    client, other = rig.client(), rig.client()
    rig.disk.is_held = True
    asked = {client.core.say_request(CommandKind.READ, at * MIB, 16 * MIB - 4096): at for at in range(8)}
    small = client.core.say_request(CommandKind.READ, 0, 4096)
    client.say()
    assert rig.disk.pending == 2
    rig.disk.is_held = False
    assert other.read(0, 4096) == rig.disk.memory[:4096]
    client.finish(*asked, small)
    for cookie, at in asked.items():
        assert client.core.replies[cookie].data == rig.disk.memory[at * MIB : (at + 16) * MIB - 4096]


def test_a_slow_writer_holds_nobody_up() -> None:
    rig = NbdRig()
    slow, other = rig.client(), rig.client()
    data = random.Random(3).randbytes(100_000)
    cookie = slow.core.say_write(0, data)
    whole = bytes(slow.core.outgoing)
    for at in range(0, len(whole), 9999):
        slow.core.outgoing[:] = whole[at : at + 9999]
        slow.say()
        assert other.write(512 * 1024, data[:512]).error == 0
    assert slow.finish(cookie)[0].error == 0
    assert rig.disk.memory[:100_000] == data


def test_who_comes_when_there_are_enough_is_turned_away() -> None:
    rig = NbdRig(config=NbdConfig(clients=3))
    clients = [rig.client() for _ in range(3)]
    assert rig.connect().core.has_ended
    assert rig.server.counters.clients_refused == 1
    clients[0].core.say_request(CommandKind.DISC)
    clients[0].run_until(lambda: clients[0].core.has_ended)
    assert rig.client().read(0, 512) == bytes(512)


def test_many_clients_share_one_disk() -> None:
    rig = NbdRig()
    clients = [rig.client() for _ in range(32)]
    cookies = [client.core.say_write(at * 4096, bytes([at + 1]) * 4096) for at, client in enumerate(clients)]
    for client in clients:
        client.wake()
    for client, cookie in zip(clients, cookies, strict=True):
        assert client.finish(cookie)[0].error == 0
    for at, client in enumerate(reversed(clients)):
        assert client.read(at * 4096, 4096) == bytes([at + 1]) * 4096


def test_limits_that_cannot_hold_are_refused() -> None:
    export = Export(block_bytes=512, size_bytes=MIB)
    with pytest.raises(LocalError, match="client_bytes is 1048576, less than the largest request needs"):
        NbdServer(Disk(), export, config=NbdConfig(client_bytes=MIB))


class Registry:
    """Registers memory, and knows what is registered."""

    def __init__(self) -> None:
        self.regions: list[Region] = []

    def register(self, buffer: object) -> Region:
        region = Region(memoryview(buffer), 0x1000, len(self.regions))  # type: ignore[arg-type]
        self.regions.append(region)
        return region

    def deregister(self, region: Region) -> None:
        self.regions.remove(region)


def test_memory_is_used_again_and_given_up_for_what_needs_another_size() -> None:
    registry = Registry()
    requests = Requests(None, registry, block_bytes=512, limit_bytes=40 * MIB)  # type: ignore[arg-type]
    small = [requests.take(4096) for _ in range(100)]
    used = requests.used_bytes
    assert used == 100 * (HEAD_BYTES + 4096 + 512)
    for request in small:
        assert request is not None
        requests.give_back(request)
    assert requests.take(4096) is small[-1]
    large = requests.take(32 * MIB)
    assert large is not None
    assert requests.take(8 * MIB) is None
    assert requests.used_bytes <= 40 * MIB
    requests.close()
    requests.give_back(large)
    assert len(registry.regions) == 1, "all but the small one that is still in use"


def test_registered_memory_goes_with_every_request_and_is_let_go_with_its_client() -> None:
    registry = Registry()
    rig = NbdRig(register=registry)
    client = rig.client()
    data = random.Random(4).randbytes(5000)
    assert client.write(4096, data[:4096]).error == 0
    assert client.write(100, data).error == 0
    assert client.read(100, 5000) == data
    whole, in_part = rig.disk.regions[0], rig.disk.regions[1]
    assert (whole[0] in registry.regions, whole[1]) == (True, HEAD_BYTES)
    assert in_part == (None, 0), "blocks at the ends are read into memory that is used once"
    rig.disk.is_held = True
    client.core.say_request(CommandKind.READ, 0, 512)
    client.say()
    rig.world.cut(client.address)
    rig.run_for()
    assert registry.regions, "the disk still has it"
    rig.let_disk_go_on()
    rig.run_for()
    assert registry.regions == []
