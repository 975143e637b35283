"""Both ends of a storage flow, by transport: a target at the sending node, an initiator at the receiving one.

Reads are what the workload is mostly made of, so their data goes the way that a flow's data goes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stacks.congestion import ControllerFactory, Delivery, Flow
from stacks.lab.counts import FlowCounts
from stacks.lab.flow import model_counts
from stacks.lab.network.line import Way
from stacks.lab.quic.ends import EPOCH_NS, IP_UDP_BYTES, QUIC_IDLE_NS, WINDOW_BYTES, informed, probe_controller
from stacks.lab.quic.host import CoreHost, DatagramPacket
from stacks.lab.storage.byte_pipe import BytePipe
from stacks.lab.storage.streams import ModelStreams, StreamHost
from stacks.model import Receiver, ReceiverConfig, Sender
from stacks.nvme.bindings.quic import (
    QuicCarrier,
    QuicInitiator,
    QuicTarget,
    initiator_configuration,
    target_configuration,
)
from stacks.nvme.bindings.rdma import RdmaInitiator, RdmaInitiatorConfig, RdmaTarget
from stacks.nvme.bindings.tcp import TcpInitiator, TcpTarget
from stacks.nvme.host import HostConfig, HostController
from stacks.nvme.stores import InlineExecutor
from stacks.nvme.target import Target
from stacks.quic.configuration import Configuration
from stacks.quic.endpoint import Endpoint
from stacks.rdma import Device, DeviceConfig
from stacks.rdma.congestion import CongestionConfig
from transports.datagram import Address, Burst, DatagramCore, Transmit
from transports.link import Sink
from transports.pump import Service
from transports.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Setting:
    """What both ends are made of. factory: of controllers; seed: of all that is drawn; look: called when the host may
    have something to do.
    """

    timeline: Timeline
    target: Target
    way: Way
    factory: ControllerFactory
    number: int
    packet_bytes: int
    seed: int
    look: Callable[[], object]


class Ends(Protocol):
    """A target that serves and an initiator that can connect to it."""

    def connect(self, config: HostConfig) -> HostController:
        """Begin an association."""

    def pump(self) -> None:
        """The host has new commands."""

    def counts(self) -> FlowCounts:
        """Of packets that the target's end sent; -1 for what nobody knows."""

    def window_bytes(self) -> int:
        """Of its controller; -1 where there is none."""


class RdmaEnds:
    """Over RoCEv2: a device each."""

    def __init__(self, setting: Setting) -> None:
        # The largest path MTU of InfiniBand whose packets fit: headers are IPv4, UDP, BTH, RETH and ICRC at most.
        mtu = max(size for size in PATH_MTUS if size + ROCE_HEADER_BYTES <= setting.packet_bytes)
        way = setting.way
        config = DeviceConfig(
            congestion=CongestionConfig(
                controller=setting.factory,
                line_rate_bps=way.rate_bps or NO_RATE_BPS,
                burst_bytes=BURST_PACKETS * setting.packet_bytes,
            )
        )
        near, far = (
            Device(host, config=config, rng=random.Random(_seed(setting, side))) for side, host in enumerate(HOSTS)
        )
        self._device = near
        self._setting = setting
        target = _Serving(RdmaTarget(near, setting.target), InlineExecutor(setting.target))
        self.initiator = RdmaInitiator(far, config=RdmaInitiatorConfig(path_mtu=mtu))
        self._near, self._far = _hosts(setting, target, self.initiator, near.address, far.address)

    def connect(self, config: HostConfig) -> HostController:
        """As of `Ends`."""
        return self.initiator.connect(HOSTS[0], config, self._setting.timeline.now)

    def pump(self) -> None:
        """As of `Ends`."""
        self._far.pump()

    def counts(self) -> FlowCounts:
        """As of `Ends`: rxe's counters, of the device."""
        counters = self._device.counters
        return FlowCounts(counters.sent_pkts, -1, -1, counters.completer_retry_err, -1, -1)

    def window_bytes(self) -> int:
        """As of `Ends`."""
        return -1


class QuicEnds:
    """Over QUIC: an endpoint each, a queue pair a stream."""

    def __init__(self, setting: Setting) -> None:
        base = Configuration(
            controller=informed(setting.factory, setting.way),
            has_ecn=probe_controller(setting.factory, setting.packet_bytes).ecn != 0,
            max_probe_bytes=setting.packet_bytes - IP_UDP_BYTES,
            connection_window_bytes=WINDOW_BYTES,
            stream_window_bytes=WINDOW_BYTES,
            max_idle_timeout_ns=QUIC_IDLE_NS,
            unix_epoch_ns=EPOCH_NS,
            is_verifying=False,
            server_name="lab",
        )
        self._setting = setting
        addresses = [(host, 4420) for host in HOSTS]
        server = target_configuration(base, rng=random.Random(0), unix_ns=EPOCH_NS, streams_max=1024)
        near, far = (
            Endpoint(address, rng=random.Random(_seed(setting, side)), server=None if side else server)
            for side, address in enumerate(addresses)
        )
        self._endpoint = near
        target = QuicTarget(setting.target, HOSTS[0])
        serving = _Serving(QuicCarrier(near, target), InlineExecutor(setting.target))
        self.initiator = QuicInitiator()
        carrier = QuicCarrier(far, self.initiator, client=initiator_configuration(base))
        self._near, self._far = _hosts(setting, serving, carrier, *addresses)

    def connect(self, config: HostConfig) -> HostController:
        """As of `Ends`."""
        return self.initiator.connect(HOSTS[0], config, self._setting.timeline.now)

    def pump(self) -> None:
        """As of `Ends`."""
        self._far.pump()

    def counts(self) -> FlowCounts:
        """As of `Ends`."""
        for connection in self._endpoint.connections:
            recovery = connection.recovery
            sent = connection.counters.datagrams_sent
            return FlowCounts(
                sent, recovery.lost_packets, -1, recovery.probes, recovery.spurious_losses, recovery.ce_packets
            )
        return FlowCounts(retransmitted_packets=-1)

    def window_bytes(self) -> int:
        """As of `Ends`."""
        for connection in self._endpoint.connections:
            window_bytes = connection.path.congestion.controller.window_bytes
            return -1 if window_bytes is None else window_bytes
        return -1


class TcpEnds:
    """Over TCP: the laboratory's model sender, two for each connection."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        timeline, rtt_ns = setting.timeline, setting.way.rtt_ns
        addresses: list[Address] = [(host, 4420) for host in HOSTS]
        near, far = (ModelStreams(timeline, address, self._pipes, rtt_ns=rtt_ns) for address in addresses)
        near.peer, far.peer = far, near
        self._network = far
        target = TcpTarget(setting.target, HOSTS[0])
        self.initiator = TcpInitiator()
        StreamHost(timeline, target, near, [InlineExecutor(setting.target)], on_input=_nothing)
        self._far = StreamHost(timeline, self.initiator, far, [], on_input=setting.look)

    def connect(self, config: HostConfig) -> HostController:
        """As of `Ends`."""
        return self.initiator.connect(HOSTS[0], config, self._setting.timeline.now)

    def pump(self) -> None:
        """As of `Ends`."""
        self._far.wake()

    def counts(self) -> FlowCounts:
        """As of `Ends`."""
        counts = [model_counts(pipe.sender, pipe.receiver) for _, pipe in self._network.pipes]
        return FlowCounts(
            sum(each.sent_packets for each in counts),
            sum(each.lost_packets for each in counts),
            sum(each.retransmitted_packets for each in counts),
            sum(each.timeouts for each in counts),
            sum(each.spurious_losses for each in counts),
            sum(each.ce_packets for each in counts),
        )

    def window_bytes(self) -> int:
        """As of `Ends`: of all its connections together."""
        windows = [pipe.sender.controller.window_bytes for _, pipe in self._network.pipes]
        return sum(window for window in windows if window is not None) if windows else -1

    def _pipes(self) -> tuple[BytePipe, BytePipe]:
        """From the initiator to the target, and back: the data of reads goes the second."""
        way = self._setting.way
        return self._pipe(way.backward, way.forward), self._pipe(way.forward, way.backward)

    def _pipe(self, forward: Sequence[Sink], backward: Sequence[Sink]) -> BytePipe:
        setting = self._setting
        pipes = len(self._network.pipes)
        flow = Flow(
            line_rate_bps=setting.way.rate_bps or NO_RATE_BPS,
            packet_bytes=setting.packet_bytes,
            rng=random.Random(_seed(setting, 2 + pipes)),
            delivery=Delivery(10 * setting.packet_bytes),
            start_ns=setting.timeline.now,
            base_rtt_ns=setting.way.rtt_ns,
        )
        return BytePipe(
            setting.timeline,
            Sender(setting.factory, flow, overhead_bytes=TCP_HEADER_BYTES),
            Receiver(ReceiverConfig()),
            forward=forward,
            backward=backward,
            number=setting.number,
            capacity_bytes=SOCKET_BYTES,
        )


class _Serving:
    """A core with a service, as one core. A pump would run the service between input and output."""

    def __init__(self, core: DatagramCore, service: Service) -> None:
        self._core = core
        self._service = service

    def handle_burst(self, burst: Burst, now: int) -> None:
        self._core.handle_burst(burst, now)

    def handle_timeout(self, now: int) -> None:
        self._core.handle_timeout(now)

    def poll_transmit(self, now: int) -> Transmit | None:
        self._service.pump(now)
        return self._core.poll_transmit(now)

    def poll_deadline(self) -> int | None:
        return self._core.poll_deadline()

    def sent(self, transmit: Transmit) -> None:
        self._core.sent(transmit)


def _hosts(
    setting: Setting, target: DatagramCore, initiator: DatagramCore, near_address: Address, far_address: Address
) -> tuple[CoreHost, CoreHost]:
    way, timeline, number = setting.way, setting.timeline, setting.number

    def arrived(_: DatagramPacket) -> None:
        setting.look()

    near = CoreHost(
        timeline, target, here=near_address, there=far_address, number=number, on_input=_nothing, on_output=_nothing
    )
    far = CoreHost(
        timeline, initiator, here=far_address, there=near_address, number=number, on_input=arrived, on_output=_nothing
    )
    near.route, far.route = (*way.forward, far.put), (*way.backward, near.put)
    return near, far


def _seed(setting: Setting, side: int) -> int:
    return ((setting.seed << 24) + setting.number << 8) + side


def _nothing(*_: object) -> None:
    pass


ENDS: dict[str, Callable[[Setting], Ends]] = {"rdma": RdmaEnds, "tcp": TcpEnds, "quic": QuicEnds}
HOSTS = ("10.0.0.1", "10.0.0.2")
PATH_MTUS = (256, 512, 1024, 2048, 4096)
ROCE_HEADER_BYTES = 20 + 8 + 12 + 16 + 4
TCP_HEADER_BYTES = 52
"""IPv4 and TCP with timestamps."""
SOCKET_BYTES = 4 << 20
BURST_PACKETS = 4
NO_RATE_BPS = 10**12
