"""The capture of a relay: every packet as it enters the models and as it leaves them, at the times of the models.

Four interfaces, so that Wireshark shows which is which; packets that were dropped are those that did not leave.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from transports.capture import CaptureFile
from transports.datagram import Buffer
from transports.link.packet import ECN_CE
from transports.relay.direction import Direction
from transports.relay.frame import marked
from transports.relay.packet import RelayPacket, corrupted
from transports.relay.relay import Relay
from transports.relay.udp import UdpRelay


def record_frames(
    relay: Relay, forward: Direction, back: Direction, path: Path, *, offset: int, on_stop: Callable[[str], None]
) -> CaptureFile:
    """Record what a `FrameRelay` with these directions is going to move. offset: as of `FrameRelay`.

    on_stop: as of `CaptureFile`, which is the caller's to close. TransportError when it cannot be made.
    """

    def views(packet: RelayPacket, has_left: bool) -> tuple[Buffer, ...]:
        frame = packet.data
        if has_left and packet.ecn == ECN_CE:
            frame = marked(frame, offset)
        return (corrupted(packet, frame) if has_left and packet.is_corrupt else frame,)

    link_type = ETHERNET if offset else RAW_IP
    file = CaptureFile(path, interfaces=INTERFACES, link_type=link_type, on_stop=on_stop)
    _record(relay, file, forward, back, (views, views))
    return file


def record_datagrams(
    relay: Relay,
    forward: Direction,
    back: Direction,
    path: Path,
    *,
    link: UdpRelay,
    on_stop: Callable[[str], None],
) -> CaptureFile:
    """The same for a `UdpRelay`, whose packets get headers as between its clients and its server: with the client's own
    address where it is, and on the server's side with the one that the server sees.
    """

    def views_of(is_forward: bool) -> Views:
        def views(packet: RelayPacket, has_left: bool) -> tuple[Buffer, ...]:
            payload = corrupted(packet) if has_left and packet.is_corrupt else packet.data
            framer = link.framer(packet, is_forward=is_forward, is_outside=has_left == is_forward)
            return framer.headers(payload, ecn=packet.ecn, identification=0), payload

        return views

    file = CaptureFile(path, interfaces=INTERFACES, on_stop=on_stop)
    _record(relay, file, forward, back, (views_of(True), views_of(False)))
    return file


Views = Callable[[RelayPacket, bool], tuple[Buffer, ...]]


def _record(relay: Relay, file: CaptureFile, forward: Direction, back: Direction, views: tuple[Views, Views]) -> None:
    epoch_ns, timeline, add = time.time_ns() - relay.now(), relay.timeline, file.add
    for number, (way, views_of) in enumerate(((forward, views[0]), (back, views[1]))):

        def record(packet: RelayPacket, has_left: bool, number: int = 2 * number, views_of: Views = views_of) -> None:
            add(epoch_ns + timeline.now, views_of(packet, has_left), number + has_left)

        way.watchers.append(record)


INTERFACES = ("forward, entering", "forward, leaving", "back, entering", "back, leaving")
ETHERNET, RAW_IP = 1, 101
