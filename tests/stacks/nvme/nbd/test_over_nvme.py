"""The whole path in virtual time: an NBD client, the server, an initiator over TCP, a target with a store."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from stacks.nvme.bindings.tcp import TcpInitiator, TcpTarget
from stacks.nvme.host import HostConfig
from stacks.nvme.nbd import NbdServer, export_of
from stacks.nvme.stores import InlineExecutor, MemoryStore, Store
from stacks.nvme.target import Subsystem, Target
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.nbd.client import Clients
from tests.stacks.nvme.nbd.rig import PORT, SECOND, NbdRig, RigClient
from transports.simulation import Simulation
from transports.simulation.streams import StreamHost, StreamWorld
from wire.nbd import CommandFlag, CommandKind, NbdError, Option

TARGET, INITIATOR, SERVER, CLIENT = (f"192.0.2.{number}" for number in range(1, 5))


class Waking:
    """A service that has another host look when there is news for it, as a loop over both pumps would."""

    def __init__(self) -> None:
        self.host: StreamHost | None = None
        self.has_news: Callable[[int], bool] = lambda _: False

    def pump(self, now: int) -> bool:
        if self.host is not None and self.has_news(now):
            self.host.wake()
        return False


class Path(NbdRig):
    """An `NbdRig` whose disk is a namespace of a target."""

    def __init__(self, store: Store, *, seed: int = 1) -> None:
        self.simulation = Simulation(seed)
        self.world = StreamWorld(self.simulation)
        subsystem = Subsystem(NQN)
        subsystem.add_namespace(store)
        target = Target([subsystem])
        self.target_host = self.world.attach(TcpTarget(target, TARGET), TARGET, [InlineExecutor(target)], ports=[4420])
        initiator = TcpInitiator()
        replies, commands = Waking(), Waking()
        self.initiator_host = self.world.attach(initiator, INITIATOR, [replies])
        self.nvme = initiator.connect(TARGET, HostConfig(nqn=NQN), self.simulation.now)
        self.initiator_host.wake()
        self.run_until(lambda: self.nvme.is_live)
        namespace = self.nvme.namespace()
        self.export = export_of(namespace, self.nvme.identity, name="disk")
        self.server = NbdServer(namespace, self.export)
        self.host = self.world.attach(self.server, SERVER, [commands], ports=[PORT])
        replies.host, commands.host = self.host, self.initiator_host
        replies.has_news = lambda now: (self.server.poll_deadline() or now + 1) <= now
        commands.has_news = lambda _: any(queue.outgoing for queue in self.nvme.io_queues)

    def new_client(self) -> RigClient:
        endpoint = Clients((SERVER, PORT))
        client = RigClient(self, endpoint.add())
        client.host = self.world.attach(endpoint, CLIENT)
        client.core.say_flags()
        client.core.say_option(Option.STRUCTURED_REPLY)
        client.core.say_go("disk")
        client.run_until(lambda: client.core.is_transmitting)
        return client


@pytest.mark.parametrize("block_bytes", [512, 4096])
def test_what_is_written_reaches_the_store_and_comes_back(block_bytes: int) -> None:
    store = MemoryStore(4 << 20, block_bytes=block_bytes)
    path = Path(store)
    client = path.new_client()
    assert (path.export.block_bytes, path.export.size_bytes) == (block_bytes, 4 << 20)
    rng = random.Random(5)
    model = bytearray(4 << 20)
    for length in (block_bytes, 100_000, 1, 3 * block_bytes, 2 << 20):
        offset = rng.randrange((4 << 20) - length)
        data = rng.randbytes(length)
        assert client.write(offset, data, flags=CommandFlag.FUA if length == 1 else 0).error == 0
        model[offset : offset + length] = data
        assert client.read(max(0, offset - 10), length) == model[max(0, offset - 10) : max(0, offset - 10) + length]
    assert client.do(CommandKind.WRITE_ZEROES, 1000, 1 << 20).error == 0
    assert client.do(CommandKind.TRIM, 2 << 20, 1 << 20).error == 0
    assert client.do(CommandKind.FLUSH).error == 0
    model[1000 : 1000 + (1 << 20)] = bytes(1 << 20)
    model[2 << 20 : 3 << 20] = bytes(1 << 20)
    assert client.read(0, 4 << 20) == model


def test_many_reads_are_under_way_at_once() -> None:
    path = Path(MemoryStore(1 << 20))
    client = path.new_client()
    data = random.Random(6).randbytes(1 << 20)
    assert client.write(0, data).error == 0
    asked = {client.core.say_request(CommandKind.READ, at * 4096, 4096): at for at in range(200)}
    client.finish(*asked)
    for cookie, at in asked.items():
        assert client.core.replies[cookie].data == data[at * 4096 : at * 4096 + 4096]


def test_a_read_only_namespace_is_a_read_only_export() -> None:
    store = MemoryStore(1 << 20)
    store.is_read_only = True
    path = Path(store)
    client = path.new_client()
    assert path.export.is_read_only
    assert client.write(0, bytes(4096)).error == NbdError.EPERM


def test_a_target_that_is_gone_is_an_error_for_what_is_under_way_and_for_what_comes() -> None:
    path = Path(MemoryStore(1 << 20))
    client = path.new_client()
    path.world.silence(TARGET, INITIATOR)
    cookies = [client.core.say_write(at * 4096, bytes(4096)) for at in range(4)]
    client.wake()
    path.run_for(SECOND // 100)
    assert not any(cookie in client.core.replies for cookie in cookies)
    path.world.cut(TARGET)
    path.world.heal(TARGET, INITIATOR)
    replies = client.finish(*cookies)
    assert {reply.error for reply in replies} == {NbdError.EIO}
    assert all("the target at 192.0.2.1:4420" in reply.message for reply in replies)
    for kind, length in ((CommandKind.READ, 4096), (CommandKind.FLUSH, 0), (CommandKind.WRITE_ZEROES, 100)):
        assert client.do(kind, 0, length).error == NbdError.EIO
    assert path.nvme.is_closed
