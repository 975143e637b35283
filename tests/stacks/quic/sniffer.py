"""Whoever has the key log and sees all that passes: 1-RTT packets in the clear, as they are sent and as they arrive."""

from __future__ import annotations

from typing import Any, NamedTuple

from stacks.quic.keys import SUITES, Opener
from tests.stacks.quic.rig import Rig, client_configuration, server_configuration
from transports.datagram import Address
from transports.packets import Packet
from wire.quic.frames import Frame, read_frames

SUITE = SUITES[0x1301]


class Sighting(NamedTuple):
    """One 1-RTT packet. what: "sent" or "delivered"; cid: that it carries; size: of the datagram."""

    now: int
    what: str
    source: Address
    destination: Address
    cid: bytes
    number: int
    frames: tuple[Frame, ...]
    size: int

    def has(self, kind: type[Frame]) -> bool:
        return any(isinstance(frame, kind) for frame in self.frames)


class SniffedRig(Rig):
    """A rig whose keys are logged. seen: all short packets, in order; datagrams: of all what, from, to and size."""

    def __init__(
        self, *, client: dict[str, Any] | None = None, server: dict[str, Any] | None = None, **options: Any
    ) -> None:
        self.lines: list[str] = []
        super().__init__(
            client=client_configuration(
                **{"key_log": self.lines.append, "cipher_suites": (0x1301,), **(client or {})}
            ),
            server=server_configuration(**(server or {})),
            **options,
        )
        self.seen: list[Sighting] = []
        self.datagrams: list[tuple[str, Address, Address, int]] = []
        self._openers: list[Opener] = []
        self._largest = [-1, -1]
        self.network.trace = self._note

    def _note(self, now: int, what: str, packet: Packet) -> None:
        self.datagrams.append((what, packet.source, packet.destination, len(packet.payload)))
        if packet.payload[0] & 0x80:
            return
        for index, opener in enumerate(self._known()):
            payload = bytearray(packet.payload)
            (opened,) = opener.open_burst(memoryview(payload), [(0, 9, len(payload))], self._largest[index])
            if opened is not None:
                self._largest[index] = max(self._largest[index], opened[0])
                frames = tuple(frame for _, frame in read_frames(memoryview(bytes(opened[2]))))
                self.seen.append(
                    Sighting(
                        now, what, packet.source, packet.destination, packet.payload[1:9], opened[0], frames,
                        len(packet.payload),
                    )
                )  # fmt: skip
                return

    def _known(self) -> list[Opener]:
        if not self._openers:
            secrets = [line.split()[2] for line in self.lines if "_TRAFFIC_SECRET_0" in line]
            if len(secrets) == 2:
                self._openers = [Opener(SUITE, bytes.fromhex(secret), 1) for secret in secrets]
        return self._openers
