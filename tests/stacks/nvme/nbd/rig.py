"""An NBD server and clients of our own in virtual time."""

from __future__ import annotations

from collections.abc import Callable

from stacks.nvme.nbd import Export, NbdConfig, NbdServer
from stacks.nvme.nbd.backend import Register
from tests.stacks.nvme.nbd.client import ClientCore, Clients, Reply
from tests.stacks.nvme.nbd.disk import Disk
from transports.simulation import Simulation
from transports.simulation.streams import StreamWorld
from wire.nbd import CommandKind, Option

SERVER, PORT = "192.0.2.1", 10809
SECOND = 1_000_000_000


class NbdRig:
    """A server of a disk, and the ways to talk to it. options: of the export."""

    def __init__(
        self,
        disk: Disk | None = None,
        *,
        seed: int = 1,
        cuts: bool = True,
        capacity_bytes: int = 1 << 18,
        config: NbdConfig | None = None,
        register: Register | None = None,
        **options: object,
    ) -> None:
        self.simulation = Simulation(seed)
        self.world = StreamWorld(self.simulation, cuts=cuts, capacity_bytes=capacity_bytes)
        self.disk = disk or Disk(rng=self.simulation.rng)
        self.export = Export(
            block_bytes=self.disk.block_bytes,
            size_bytes=len(self.disk.memory),
            **options,  # type: ignore[arg-type]
        )
        self.server = NbdServer(self.disk, self.export, config=config, register=register)
        self.host = self.world.attach(self.server, SERVER, [self.disk], ports=[PORT])
        self._hosts = 0

    def connect(self) -> RigClient:
        """A client that has heard the greeting and said nothing."""
        self._hosts += 1
        address = f"192.0.2.{self._hosts + 1}"
        endpoint = Clients((SERVER, PORT))
        client = RigClient(self, endpoint.add())
        client.host = self.world.attach(endpoint, address)
        client.address = address
        client.wake()
        self.run_until(lambda: client.core.greeting is not None or client.core.has_ended)
        return client

    def client(self, name: str = "", *infos: int, is_structured: bool = True) -> RigClient:
        """A client that uses the export."""
        client = self.connect()
        client.core.say_flags()
        if is_structured:
            client.core.say_option(Option.STRUCTURED_REPLY)
        client.core.say_go(name, *infos)
        client.run_until(lambda: client.core.is_transmitting or client.core.has_ended)
        assert client.core.is_transmitting, client.core.failure
        return client

    def run_until(self, condition: Callable[[], bool], timeout_ns: int = 600 * SECOND) -> None:
        """Let time pass until `condition` holds."""
        self.simulation.run_until(condition, timeout_ns=timeout_ns)

    def run_for(self, duration_ns: int = SECOND) -> None:
        """Let time pass."""
        self.simulation.run_for(duration_ns)

    def let_disk_go_on(self) -> None:
        """End what the disk held."""
        self.disk.is_held = False
        self.host.wake()


class RigClient:
    """A client in the rig. core: what it says and hears."""

    def __init__(self, rig: NbdRig, core: ClientCore) -> None:
        self.rig = rig
        self.core = core
        self.host = rig.host
        self.address = ""

    def wake(self) -> None:
        """Send what is to be said, and hear what there is."""
        self.core.is_active = True
        self.host.wake()

    def run_until(self, condition: Callable[[], bool]) -> None:
        """Say what is to be said, and let time pass."""
        self.wake()
        self.rig.run_until(condition)

    def say(self) -> None:
        """Send what is to be said, and let it arrive."""
        self.wake()
        self.rig.run_for(SECOND)

    def finish(self, *cookies: int) -> list[Reply]:
        """Run until these requests are answered."""
        self.run_until(lambda: all(cookie in self.core.replies for cookie in cookies) or self.core.has_ended)
        return [self.core.replies[cookie] for cookie in cookies]

    def do(self, kind: int, offset: int = 0, length: int = 0, *, flags: int = 0, data: bytes = b"") -> Reply:
        """One request, and its reply."""
        return self.finish(self.core.say_request(kind, offset, length, flags=flags, data=data))[0]

    def read(self, offset: int, length: int) -> bytes:
        """What is there."""
        reply = self.do(CommandKind.READ, offset, length)
        assert reply.error == 0, reply.message
        return reply.data

    def write(self, offset: int, data: bytes, *, flags: int = 0) -> Reply:
        """Write, and the reply."""
        return self.do(CommandKind.WRITE, offset, len(data), flags=flags, data=data)

    def option(self, option: int, data: bytes = b"", *, length: int | None = None) -> list[int]:
        """One option, and the kinds of its answers; empty when the connection ended instead."""
        before = len(self.core.answers)
        self.core.say_option(option, data, length=length)

        def is_answered() -> bool:
            answers = self.core.answers[before:]
            return bool(answers) and (answers[0].kinds[-1] == 1 or answers[0].kinds[-1] >> 31 == 1)

        self.run_until(lambda: is_answered() or self.core.has_ended or self.core.is_transmitting)
        return self.core.answers[before].kinds if is_answered() else []
