"""The asynchronous face, under trio: a device on its UDP socket, and tasks that wait for completions and connections.

    from stacks.rdma.aio import open_device

    async with open_device("127.0.0.2") as endpoint:
        qp = endpoint.create_qp()
        await endpoint.connect("127.0.0.3", 7000, qp=qp)
        qp.post_send(...)
        completions = await endpoint.completions(qp.send_cq)

One driver's tasks move everything, and packets wake nobody else: a task that waits is woken by the first completion, or
by a change of a connection. What was posted leaves when a task waits here, or with `pump` and `wake`.

Raises LocalError for misuse, ConnectionFailed when there is no connection (any more). Every await is a checkpoint, and
takes nothing when it is cancelled; a connection that is being made is withdrawn.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from stacks.dma.contract import Dma
from stacks.rdma.cm import ConnectionParameters
from stacks.rdma.cm.ids import CmId, CmListener, ConnectionFailed
from stacks.rdma.completion import CompChannel, Cq, Wc
from stacks.rdma.device import Device
from stacks.rdma.device_config import DeviceConfig
from stacks.rdma.endpoint import EndpointBase, settled
from stacks.rdma.qp import Qp
from stacks.rdma.sync import capturing, device_on, open_udp
from stacks.runtime import LocalError
from transports.clock import Clock, RealClock
from transports.datagram import DatagramTransport
from transports.driver import Driver

__all__ = ["ConnectionFailed", "Endpoint", "open_device", "run_endpoint"]


@asynccontextmanager
async def open_device(
    address: str,
    *,
    config: DeviceConfig | None = None,
    offload: bool = True,
    capture: str | Path | None = None,
    dma: Dma | None = None,
    rng: random.Random | None = None,
) -> AsyncIterator[Endpoint]:
    """The device at one of this machine's addresses, which lives as long as the block.

    Arguments and errors as of `stacks.rdma.sync.open_device`.
    """
    udp = open_udp(address, offload=offload)
    try:
        device = device_on(udp, config=config, dma=dma, rng=rng)
        async with run_endpoint(device, capturing(udp, capture)) as endpoint:
            yield endpoint
    finally:
        udp.close()


@asynccontextmanager
async def run_endpoint(
    device: Device, transport: DatagramTransport, *, clock: Clock | None = None
) -> AsyncIterator[Endpoint]:
    """A device on any transport, which is closed at the end; clock: the real one by default.

    At the end of the block every connection is ended, and the peers have half a second to take note; when it ends by an
    exception, they are told once. What the block raises leaves as it is, and not in a group.
    """
    endpoint = Endpoint(device, transport, clock or RealClock())
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(endpoint.driver.run)
            try:
                yield endpoint
                await endpoint.disconnect_all()
            except trio.Cancelled:
                raise
            except BaseException as error:  # noqa: BLE001 (raised again below)
                failure = error
            finally:
                endpoint.ids.disconnect_all()
                endpoint.pump()
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
    finally:
        transport.close()


class Endpoint(EndpointBase):
    """A device with a driver that somebody runs; made by `open_device` or `run_endpoint`."""

    def __init__(self, device: Device, transport: DatagramTransport, clock: Clock) -> None:
        self._changed = trio.lowlevel.ParkingLot()
        super().__init__(device, channel=CompChannel(self._announce), on_change=self._note_change)
        self.transport = transport
        self._use(transport)
        self.driver = Driver(device, transport, clock, [self.ids])
        self._waiting = 0
        self._lots: dict[Cq, trio.lowlevel.ParkingLot] = {}

    # Moving

    def pump(self) -> bool:
        """Make one pass now: take what came, send what was posted. True when anything was done."""
        return self.driver.pump()

    def wake(self) -> None:
        """Have what was posted leave soon, together with what other tasks post until then."""
        self.driver.wake()

    # Completions

    async def completions(self, cq: Cq, max_entries: int = 16) -> list[Wc]:
        """Wait until something completed, and take it, `max_entries` at most.

        cq: made by `create_cq` or `create_qp` of this endpoint. Several tasks may wait for one queue.
        Raises LocalError for another queue, and for one that overflowed and is empty.
        """
        if cq.channel is not self._channel:
            raise LocalError("this completion queue was not made by this endpoint: use its create_cq")
        self._waiting += 1
        try:
            self._ring()
            if len(cq):
                await trio.lowlevel.checkpoint()
            while not (entries := cq.poll(max_entries)):
                await self._park(cq)
            return entries
        finally:
            self._waiting -= 1

    # Connections

    async def connect(
        self, host: str, port: int, *, qp: Qp, private_data: bytes = b"", parameters: ConnectionParameters | None = None
    ) -> CmId:
        """Connect a queue pair in RESET or INIT to whoever listens on `port` of the device at `host`.

        host: numeric text form. private_data: at most 56 bytes, and the answer's are the result's `private_data`.
        parameters: None for the defaults with the largest path MTU.
        Raises ConnectionFailed with the cause, LocalError for arguments that cannot be.
        """
        cm_id = self.ids.connect(host, port, qp=qp, private_data=private_data, parameters=parameters)
        return await self._wait_settled(cm_id)

    async def next_request(self, listener: CmListener) -> CmId:
        """Wait for the next request, to be accepted or rejected."""
        await self._wait_until(lambda: bool(listener.requests))
        return listener.requests.popleft()

    async def accept(
        self, request: CmId, *, qp: Qp, private_data: bytes = b"", parameters: ConnectionParameters | None = None
    ) -> CmId:
        """Accept a request with a queue pair in RESET or INIT; returns when the connection is established.

        private_data: at most 196 bytes. Raises ConnectionFailed when the peer has withdrawn or does not answer.
        """
        self.ids.accept(request, qp=qp, private_data=private_data, parameters=parameters)
        return await self._wait_settled(request)

    def reject(self, request: CmId, *, private_data: bytes = b"") -> None:
        """Refuse a request; private_data: at most 148 bytes."""
        self.ids.reject(request, private_data=private_data)
        self.wake()

    async def disconnect(self, cm_id: CmId) -> None:
        """End a connection; returns when the peer knows or is given up. Its queue pair goes to ERR. Idempotent.

        Cancelled, it goes on alone.
        """
        self.ids.disconnect(cm_id)
        self.wake()
        await self.wait_disconnected(cm_id)

    async def wait_disconnected(self, cm_id: CmId) -> None:
        """Return when a connection is over; `CmId.failure` says why."""
        await self._wait_until(lambda: cm_id.failure is not None)

    async def disconnect_all(self) -> None:
        """Stop listening and end every connection; returns when the peers know, half a second later at most."""
        self.ids.disconnect_all()
        self.wake()
        with trio.move_on_after(LINGER_SECONDS):
            await self._wait_until(lambda: not len(self.ids))

    async def _wait_settled(self, cm_id: CmId) -> CmId:
        self.wake()
        try:
            await self._wait_until(lambda: cm_id.is_settled)
        except BaseException:
            self.ids.disconnect(cm_id)
            self.wake()
            raise
        return settled(cm_id)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        if condition():
            await trio.lowlevel.checkpoint()
        while not condition():
            await self._changed.park()

    def _ring(self) -> None:
        # A lone task sends at once; among many, one pass of the driver takes the requests of all.
        if self._waiting == 1:
            self.driver.pump()
        else:
            self.driver.wake()

    async def _park(self, cq: Cq) -> None:
        if cq.is_broken:
            raise LocalError("the completion queue overflowed")
        cq.arm()
        lot = self._lots.setdefault(cq, trio.lowlevel.ParkingLot())
        try:
            await lot.park()
        finally:
            # By the time that the last of several wakes, the first may be parked again, in another lot.
            if not lot and self._lots.get(cq) is lot:
                del self._lots[cq]

    def _note_change(self) -> None:
        self._changed.unpark_all()

    def _announce(self, cq: Cq) -> None:
        assert self._channel is not None
        self._channel.poll_event()
        lot = self._lots.get(cq)
        if lot is not None:
            lot.unpark_all()


LINGER_SECONDS = 0.5
