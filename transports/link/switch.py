"""A switch whose ports share a buffer, and which pauses whoever fills it: lossless, and unfair as that is.

    upstream port -> wire -> Ingress: counted in the buffer -> egress port: queued by priority -> wire -> ...
          <-- pause, resume: after the wire's delay --

An ingress asks its upstream to pause one priority when the buffer says so (`shared_buffer`), and to go on likewise. A
packet leaves the buffer when it begins to leave by its egress; one that goes straight through causes no pause. Pauses
last until they are taken back (PFC's quanta are renewed for as long as it takes); a pause waits for no packet on the
way back and takes no time to send. Control packets (see `PausableQueue`) are neither counted nor paused.

Without PFC packets are counted for the priority of the egress that they leave by, and dropped above the threshold.

Left out: a limit for egress queues, which a discipline may have, storms and watchdogs; deadlock happens as it would.
"""

from __future__ import annotations

from collections.abc import Callable

from transports.link.checks import check_at_least
from transports.link.packet import LinkPacket, Sink
from transports.link.pausable_queue import PausableQueue
from transports.link.port import Port
from transports.link.shared_buffer import Account, BufferConfig, SharedBuffer
from transports.timeline import Timeline


class Switch:
    """buffer: of all its ports. dropped_packets, dropped_bytes: found no room, never with PFC and enough headroom.

    on_drop: called with each of them. ingresses: by which packets come in. mtu_bytes: of the largest packet, for
    headrooms. has_pfc: False for a switch that drops instead.
    """

    def __init__(
        self,
        timeline: Timeline,
        config: BufferConfig | None = None,
        *,
        mtu_bytes: int = 1500,
        has_pfc: bool = True,
    ) -> None:
        check_at_least("mtu_bytes", mtu_bytes, 1)
        self.timeline = timeline
        self.buffer = SharedBuffer(config or BufferConfig())
        self.mtu_bytes = mtu_bytes
        self.has_pfc = has_pfc
        self.ingresses: list[Ingress] = []
        self.dropped_packets = 0
        self.dropped_bytes = 0
        self.on_drop: Callable[[LinkPacket], object] | None = None
        self._lossy: dict[Port, list[Account]] = {}

    @property
    def pause_frames(self) -> int:
        """Sent by all ingresses."""
        return sum([ingress.pause_frames for ingress in self.ingresses])

    def ingress(
        self, upstream: Port, rate_bps: int, *, headroom_bytes: int | None = None, alpha_shift: int = 3
    ) -> Ingress:
        """The end of a wire from `upstream`, a port with a PausableQueue, which will be paused.

        rate_bps: of the wire. headroom_bytes: for each priority; what never drops where left out. alpha_shift: the
        threshold is a share of 1 / 2^alpha_shift. TransportError when the buffer is too small.
        """
        made = Ingress(self, upstream, rate_bps, headroom_bytes, alpha_shift)
        self.ingresses.append(made)
        return made

    def egress(self, port: Port, *, alpha_shift: int = 3) -> None:
        """Packets that leave by `port`, which has a PausableQueue, leave the buffer. alpha_shift: without PFC."""
        queue = _pausable(port)
        queue.on_leave = self._left
        if not self.has_pfc:
            self._lossy[port] = _accounts(self, queue, 0, alpha_shift)

    def lossy_accounts(self, port: Port) -> list[Account] | None:
        """Of an egress; None with PFC."""
        return self._lossy.get(port)

    def drop(self, packet: LinkPacket) -> None:
        """Count a packet that found no room."""
        self.dropped_packets += 1
        self.dropped_bytes += packet.size_bytes
        if self.on_drop is not None:
            self.on_drop(packet)

    def _left(self, packet: LinkPacket) -> None:
        account = packet.ingress
        if account is None:
            return
        self.buffer.release(account, packet.size_bytes)
        if account.is_pausing and self.buffer.wants_resume(account):
            account.ingress.resume(account)


class Ingress:
    """One port's way in. pause_frames, resume_frames: sent to its upstream. accounts: by priority, none without PFC."""

    def __init__(
        self, switch: Switch, upstream: Port, rate_bps: int, headroom_bytes: int | None, alpha_shift: int
    ) -> None:
        queue = _pausable(upstream)
        if headroom_bytes is None:
            headroom_bytes = lossless_headroom_bytes(rate_bps, upstream.delay_ns, switch.mtu_bytes)
        self.switch = switch
        self.pause_frames = 0
        self.resume_frames = 0
        self._upstream = upstream
        self._queue = queue
        self.accounts = _accounts(switch, queue, headroom_bytes, alpha_shift, ingress=self) if switch.has_pfc else []

    def to(self, egress: Port) -> Sink:
        """What a packet passes that comes in here and leaves by `egress`."""
        return _Crossing(self, egress).put

    def pause(self, account: Account) -> None:
        """Tell the upstream to stop."""
        account.is_pausing = True
        self.pause_frames += 1
        timeline = self.switch.timeline
        timeline.at(timeline.now + self._upstream.delay_ns, self._queue.pause, account.priority)

    def resume(self, account: Account) -> None:
        """Tell it to go on."""
        account.is_pausing = False
        self.resume_frames += 1
        timeline = self.switch.timeline
        timeline.at(timeline.now + self._upstream.delay_ns, self._go_on, account.priority)

    def _go_on(self, priority: int) -> None:
        self._queue.resume(priority)
        self._upstream.wake()


class _Crossing:
    """From one ingress to one egress."""

    __slots__ = ("_accounts", "_egress", "_ingress", "_switch")

    def __init__(self, ingress: Ingress, egress: Port) -> None:
        self._ingress = ingress
        self._egress = egress
        self._switch = switch = ingress.switch
        self._accounts = switch.lossy_accounts(egress) or ingress.accounts

    def put(self, packet: LinkPacket) -> None:
        accounts, switch = self._accounts, self._switch
        if packet.priority >= len(accounts):
            packet.ingress = None
            self._egress.put(packet)
            return
        packet.ingress = account = accounts[packet.priority]
        if not switch.buffer.admit(account, packet.size_bytes):
            switch.drop(packet)
            return
        self._egress.put(packet)
        if switch.has_pfc and switch.buffer.wants_pause(account):
            self._ingress.pause(account)


def lossless_headroom_bytes(rate_bps: int, delay_ns: int, mtu_bytes: int) -> int:
    """What may still come in after a pause was sent: the wire both ways, and a packet that had begun at either end."""
    return -(-2 * delay_ns * rate_bps // BIT_NS_PER_BYTE_S) + 2 * mtu_bytes


def _accounts(
    switch: Switch, queue: PausableQueue, headroom_bytes: int, alpha_shift: int, *, ingress: Ingress | None = None
) -> list[Account]:
    made = [
        Account(headroom_bytes, alpha_shift, ingress=ingress, priority=priority)
        for priority in range(len(queue.queues))
    ]
    for account in made:
        switch.buffer.add(account)
    return made


def _pausable(port: Port) -> PausableQueue:
    queue = port.queue
    assert isinstance(queue, PausableQueue), "a port of a switch has a PausableQueue"
    return queue


BIT_NS_PER_BYTE_S = 8_000_000_000
