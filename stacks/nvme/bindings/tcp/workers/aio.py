"""Worker processes for TCP ports, under trio: `TcpWorkers` in the owner, and what runs in each of them.

    owner                                    worker
    start                 -> process         -> `ready`
    `port`, a stream      ->                    a `TcpWorker` on a driver of its own
    `take`, a connection  ->                    goes on with it
    `grant`, a store      ->                    does its plain reads and writes
    `revoke`              ->                    does no more of them, from before it answers

These go over a connection of their own (`transports.rights`), each answered before anything else happens. A worker
that does not answer is killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import mmap
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import trio

from stacks.nvme.bindings.aio import Watch
from stacks.nvme.bindings.tcp.agreement import Agreed
from stacks.nvme.bindings.tcp.target import TcpTarget
from stacks.nvme.bindings.tcp.target_configuration import TcpTargetConfig
from stacks.nvme.bindings.tcp.workers.board import BOARD_BYTES, Board
from stacks.nvme.bindings.tcp.workers.grants import Terms
from stacks.nvme.bindings.tcp.workers.handover import Handover
from stacks.nvme.bindings.tcp.workers.owner_side import OwnerChannel
from stacks.nvme.bindings.tcp.workers.worker_side import TcpWorker
from stacks.nvme.stores.sharing import Share
from transports.child_process import ChildProcess, parent_end, stream_of, stream_pair
from transports.clock import RealClock
from transports.control.directory import Json
from transports.driver import StreamDriver
from transports.errors import TransportError
from transports.file_limit import raise_file_limit
from transports.rights import RightsEnd
from transports.stream import StreamTransport
from transports.stream_network import KernelStreams
from transports.stream_pump import StreamPump
from transports.stream_socket import SocketStream


class TcpWorkers:
    """`count` worker processes for the TCP ports of a target. One that dies is replaced.

    on_death: called with one line for a person for each that died. Call `run`; ports can be added before and meanwhile.
    """

    def __init__(self, count: int, *, on_death: Callable[[str], None] | None = None) -> None:
        self.count = count
        self.processes: dict[int, ChildProcess] = {}
        """Those that serve, by place."""
        self.on_death = on_death
        self.deaths = 0
        self._ports: list[WorkedPort] = []
        self._is_ready = trio.Event()
        self._nursery: trio.Nursery | None = None

    @property
    def pids(self) -> list[int]:
        """The process numbers of those that serve."""
        return [self.processes[place].pid for place in sorted(self.processes)]

    def add_port(self, port: WorkedPort) -> None:
        """Have the workers take connections of a port."""
        self._ports.append(port)
        for process in list(self.processes.values()):
            port.open(process)

    def remove_port(self, port: WorkedPort) -> None:
        """The port is gone; its channels are closed with it."""
        if port in self._ports:
            self._ports.remove(port)

    async def run(self) -> None:
        """Keep the workers; when cancelled, they are gone."""
        async with trio.open_nursery() as nursery:
            for place in range(self.count):
                nursery.start_soon(self._keep, place)

    async def ready(self) -> None:
        """Return when every worker serves, or one has ended before it did."""
        await self._is_ready.wait()

    async def _keep(self, place: int) -> None:
        said = ""
        while True:
            began = trio.current_time()
            try:
                process = ChildProcess(MODULE)
            except OSError as error:
                # As when memory is short; connections stay with the owner until it is there again.
                self._is_ready.set()
                text = f"a worker cannot be started now: {os.strerror(error.errno or 0).lower()}"
                if self.on_death is not None and text != said:
                    self.on_death(text)
                said = text
                await trio.sleep(RESTART_DELAY_S)
                continue
            said = ""
            try:
                if await process.rights.next() is not None:
                    self._serve(place, process)
                status = await process.wait_ended()
            finally:
                self.processes.pop(place, None)
                process.close()
            # What does not come up holds nobody up: connections stay with the owner.
            self._is_ready.set()
            self.deaths += 1
            if self.on_death is not None:
                how = signal.Signals(-status).name if status < 0 else f"status {status}"
                self.on_death(
                    f"worker {process.pid} ended ({how}) and took its connections along; another takes its place"
                )
            await trio.sleep_until(began + RESTART_DELAY_S)

    def _serve(self, place: int, process: ChildProcess) -> None:
        for port in self._ports:
            # A port that has no files left for it does without this worker.
            with contextlib.suppress(OSError):
                port.open(process)
        self.processes[place] = process
        if len(self.processes) == self.count:
            self._is_ready.set()


class WorkedPort:
    """A port whose connections go to workers. A service of its pump, which `bind` names."""

    def __init__(self, target: TcpTarget) -> None:
        self._target = target
        self._handover: Handover | None = None
        self._streams: StreamPump | None = None
        self._wake: Callable[[], None] = _nothing

    def bind(self, streams: StreamDriver) -> None:
        """Say which pump this is a service of."""
        self._streams, self._wake = streams, streams.wake
        self._handover = Handover(self._target, streams.detach)

    def close(self) -> None:
        """The port is closed."""
        if self._handover is not None:
            self._handover.grants.close()

    def pump(self, now: int) -> bool:
        """Hand over what is to be."""
        return self._handover is not None and self._handover.pump(now)

    def open(self, process: ChildProcess) -> None:
        """One more worker. One that does not answer is killed."""
        assert self._streams is not None
        assert self._handover is not None
        near, far = stream_pair()
        memory = os.memfd_create("baremetal-board", os.MFD_CLOEXEC)
        number = self._target.port.portid
        message: dict[str, Json] = {"verb": "port", "port": number, "config": _encoded(self._target.config)}
        try:
            os.ftruncate(memory, BOARD_BYTES)
            board = Board(mmap.mmap(memory, BOARD_BYTES))
            _ask(process, message, far.fileno(), memory)
        except TransportError:
            near.close()
            return
        finally:
            far.close()
            os.close(memory)
        channel = OwnerChannel(self._target)
        self._streams.attach(channel, near)
        self._handover.add(_PortWorker(process, channel, board, number))
        self._wake()


class _PortWorker:
    """A worker process, as far as one port goes."""

    def __init__(self, process: ChildProcess, channel: OwnerChannel, board: Board, port: int) -> None:
        self.channel = channel
        self.board = board
        self._process = process
        self._port = port

    def take(self, number: int, agreed: Agreed, unread: bytes, transport: StreamTransport) -> None:
        """Have the worker go on with a connection."""
        assert isinstance(transport, SocketStream)
        connected = transport.detach()
        message: dict[str, Json] = {
            "verb": "take",
            "port": self._port,
            "number": number,
            "agreed": _encoded(agreed),
            "unread": unread.hex(),
        }
        with connected:
            _ask(self._process, message, connected.fileno())

    def grant(self, number: int, terms: Terms, share: Share) -> None:
        """Let a connection do I/O by itself."""
        message: dict[str, Json] = {
            "verb": "grant", "port": self._port, "number": number, "terms": _encoded(terms)
        }  # fmt: skip
        _ask(self._process, message, share.descriptor, share.lock.descriptor)

    def revoke(self, pairs: Sequence[tuple[int, int]]) -> None:
        """End grants."""
        for at in range(0, len(pairs), PAIRS_MAX):
            some: list[Json] = [list(pair) for pair in pairs[at : at + PAIRS_MAX]]
            _ask(self._process, {"verb": "revoke", "port": self._port, "pairs": some})

    def kill(self) -> None:
        """End it."""
        self._process.kill()


def _ask(process: ChildProcess, message: Mapping[str, Json], *descriptors: int) -> Mapping[str, Json]:
    try:
        return process.rights.ask(message, descriptors, timeout_s=ANSWER_S)
    except TransportError:
        process.kill()
        raise


def _encoded(value: Any) -> Json:
    return {name: list(each) if isinstance(each, tuple) else each for name, each in dataclasses.asdict(value).items()}


def _nothing() -> None:
    """There is no pump yet."""


# In a worker


class WorkerProcess:
    """What runs in a worker: a core and a driver for each port."""

    def __init__(self, rights: RightsEnd) -> None:
        self._rights = rights
        self._ports: dict[int, _WorkerPort] = {}
        self._verbs: dict[str, Callable[[Mapping[str, Any], list[int]], Mapping[str, Json]]] = {
            "port": self._open_port,
            "take": self._take,
            "grant": self._grant,
            "revoke": self._revoke,
        }
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Do what the owner asks for, until it is gone."""
        async with trio.open_nursery() as self._nursery:
            self._rights.answer({"ready": os.getpid()})
            while (asked := await self._rights.next()) is not None:
                message, descriptors = asked
                self._rights.answer(self._verbs[str(message["verb"])](message, descriptors))
            self._nursery.cancel_scope.cancel()

    def _open_port(self, message: Mapping[str, Any], descriptors: list[int]) -> Mapping[str, Json]:
        assert self._nursery is not None
        config = message["config"]
        shelves = tuple((size, count) for size, count in config.pop("shelves"))
        port = _WorkerPort(TcpTargetConfig(shelves=shelves, **config), *descriptors)
        self._ports[message["port"]] = port
        self._nursery.start_soon(self._run_port, message["port"], port)
        return {}

    async def _run_port(self, number: int, port: _WorkerPort) -> None:
        await port.run()
        if self._ports.get(number) is port:
            del self._ports[number]

    def _take(self, message: Mapping[str, Any], descriptors: list[int]) -> Mapping[str, Json]:
        agreed = message["agreed"]
        host, port = agreed.pop("remote")
        agreed = Agreed(remote=(host, port), **agreed)
        self._ports[message["port"]].take(
            message["number"], agreed, bytes.fromhex(message["unread"]), descriptors[0]
        )
        return {}


    def _grant(self, message: Mapping[str, Any], descriptors: list[int]) -> Mapping[str, Json]:
        core = self._ports[message["port"]].core
        core.grant(message["number"], Terms(**message["terms"]), descriptors)
        return {}

    def _revoke(self, message: Mapping[str, Any], descriptors: list[int]) -> Mapping[str, Json]:
        assert not descriptors
        port = self._ports[message["port"]]
        port.core.revoke([(number, nsid) for number, nsid in message["pairs"]])
        port.wake()
        return {}


class _WorkerPort:
    """One port in a worker. channel, board: descriptors of the stream to the owner and of the board."""

    def __init__(self, config: TcpTargetConfig, channel: int, board: int) -> None:
        self.core = TcpWorker(Board(mmap.mmap(board, BOARD_BYTES)), config)
        os.close(board)
        self._network = KernelStreams()
        self._clock = RealClock()
        self._watch = Watch()
        self._driver = StreamDriver(self.core, self._network, self._clock, [self.core.executor, self._watch])
        self.wake = self._driver.wake
        self._driver.attach(self.core.channel, stream_of(channel))

    async def run(self) -> None:
        """Serve until the owner closes the channel."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._driver.run)
            await self._watch.wait_until(lambda: self.core.channel.is_lost)
            nursery.cancel_scope.cancel()
        self._driver.close()
        self._network.close()

    def take(self, number: int, agreed: Agreed, unread: bytes, descriptor: int) -> None:
        """Go on with a connection."""
        connection = self.core.adopt(number, agreed)
        self._driver.attach(connection, stream_of(descriptor))
        connection.arrive(agreed, unread)
        connection.handle_received(0, self._clock.now())
        self._driver.wake()


def main() -> None:
    """A worker process, from beginning to end."""
    # Whoever ends a group of processes gets at the owner, who has something to put away, and ends us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise_file_limit()
    trio.run(WorkerProcess(parent_end()).run)


PAIRS_MAX = 2000
"""How many grants one message ends."""
MODULE = "stacks.nvme.bindings.tcp.workers.aio"
ANSWER_S = 5.0
"""How long a worker may take to answer; everything waits for it."""
RESTART_DELAY_S = 1.0
"""The least time between the starts of a worker, should it die again and again."""

if __name__ == "__main__":
    main()
