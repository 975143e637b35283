"""NVMe over TCP under trio: kernel connections, with a driver to run in a nursery."""

from __future__ import annotations

from collections.abc import Collection

from stacks.nvme.bindings.aio import AsyncEnd, ServerPort, Watch
from stacks.nvme.bindings.tcp.initiator import TcpInitiator, TcpInitiatorConfig
from stacks.nvme.bindings.tcp.sync import WrapStreams
from stacks.nvme.bindings.tcp.target import TcpTarget
from stacks.nvme.bindings.tcp.target_configuration import TcpTargetConfig
from stacks.nvme.bindings.tcp.workers.aio import TcpWorkers, WorkedPort
from stacks.nvme.target import Target
from stacks.runtime import LocalError
from transports.clock import RealClock
from transports.driver import Service, StreamDriver
from transports.stream_network import KernelStreams, tcp_listener


class TcpAsyncEnd(AsyncEnd):
    """Kernel connections to initiate with; arguments as of `sync.TcpEnd`. Run `driver.run` beside whatever uses it."""

    def __init__(
        self, *, local: str = "", config: TcpInitiatorConfig | None = None, wrap: WrapStreams | None = None
    ) -> None:
        network = KernelStreams(local=local)
        self._network = wrap(network) if wrap else network
        core, clock, watch = TcpInitiator(config=config), RealClock(), Watch()
        self._streams = StreamDriver(core, self._network, clock, [watch])
        super().__init__(core, self._streams, clock, watch)

    def close(self) -> None:
        """Close every connection."""
        self._streams.close()
        self._network.close()


class TcpServer(ServerPort):
    """A target's port at an address of this machine. Run `driver.run`; executor: a service that runs the stores.

    portid, serves: see `Target.add_port`; wrap: puts something around the network. workers: processes that move the
    bytes of its I/O connections; None for this one.
    TransportError when the address cannot be had.
    """

    def __init__(
        self,
        target: Target,
        host: str,
        port: int,
        *,
        executor: Service,
        portid: int = 0,
        serves: Collection[str] | None = None,
        config: TcpTargetConfig | None = None,
        wrap: WrapStreams | None = None,
        workers: TcpWorkers | None = None,
    ) -> None:
        if wrap is not None and workers is not None:
            raise LocalError("what workers send and receive cannot be wrapped; leave the workers out")
        listening = tcp_listener(host, port)
        self.port_number: int = listening.getsockname()[1]
        network = KernelStreams()
        network.listen(listening)
        self._network = wrap(network) if wrap else network
        watch = Watch()
        try:
            core = TcpTarget(target, host, self.port_number, portid=portid, serves=serves, config=config)
        except LocalError:
            self._network.close()
            raise
        self._workers, self._worked = workers, WorkedPort(core)
        self._streams = StreamDriver(core, self._network, RealClock(), [executor, watch, self._worked])
        super().__init__(core, self._streams, watch)
        if workers is not None:
            self._worked.bind(self._streams)
            workers.add_port(self._worked)

    def close(self) -> None:
        """Close every connection, and stop listening."""
        if self._workers is not None:
            self._workers.remove_port(self._worked)
            self._worked.close()
        self._streams.close()
        self._network.close()
