"""Paths of one end without a connection: what the connection would tell them, told by hand."""

from __future__ import annotations

import random

from stacks.quic.configuration import Configuration
from stacks.quic.events import Event
from stacks.quic.paths import Path, Paths, PeerConnectionIds
from stacks.quic.recovery import PathCongestion
from tests.stacks.quic.paths.frames import packet_of
from transports.datagram import Address
from wire.quic.frames import NewConnectionId, PathChallenge, PathResponse
from wire.quic.parameters import TransportParameters

HERE, THERE = ("192.0.2.1", 443), ("198.51.100.7", 50_000)
OTHER_PORT, OTHER_HOST = ("198.51.100.7", 50_001), ("203.0.113.9", 50_000)
SECOND_NS = 1_000_000_000


class PathsRig:
    """A server's, or a client's, after its handshake. sent: bytes on each path since it began."""

    def __init__(self, *, is_client: bool = False, spare_ids: int = 4, **parameters: object) -> None:
        configuration = Configuration(active_connection_id_limit=8)
        rng = random.Random(11)
        self.now = 0
        self.changed: list[Path] = []
        self.validated: list[Path] = []
        self.ids = PeerConnectionIds(configuration, b"peer-000", THERE, is_client=False)
        self.paths = Paths(
            configuration,
            is_client=is_client,
            local=HERE,
            remote=THERE,
            peer_ids=self.ids,
            rng=rng,
            make_congestion=lambda now: PathCongestion(configuration, rng, now=now),
            now=0,
        )
        self.paths.on_change = lambda path, _: self.changed.append(path)
        self.paths.on_validated = lambda path, _: self.validated.append(path)
        peer = TransportParameters(**parameters)  # type: ignore[arg-type]
        self.ids.apply_peer_parameters(peer)
        self.paths.apply_peer_parameters(peer, 0)
        for number in range(2, 2 + spare_ids):
            self.give(number)
        self.paths.handshake_confirmed(0)
        self.arrive(HERE, THERE, cid=b"ours-000")

    @property
    def active(self) -> Path:
        return self.paths.active

    def give(self, number: int, *, prior: int = 0) -> None:
        """The peer gives us an ID."""
        self.ids.handle_new(NewConnectionId(number, prior, b"peer-%03d" % number, b"token-%010d" % number), self.now)
        self.paths.peer_ids_changed(self.now)

    def arrive(
        self,
        local: Address,
        remote: Address,
        *,
        size: int = 1200,
        cid: bytes = b"ours-000",
        is_probing: bool = False,
        is_newest: bool = True,
        is_opened: bool = True,
        challenge: bytes = b"",
    ) -> Path | None:
        """A datagram of one packet."""
        path = self.paths.received(local, remote, size, self.now)
        if path is not None and is_opened:
            if challenge:
                self.paths.handle_challenge(path, challenge, self.now)
            self.paths.packet_processed(
                path, destination_cid=cid, is_probing=is_probing, is_newest=is_newest, now=self.now
            )
        return path

    def send(self) -> list[tuple[Path, list[PathChallenge | PathResponse], int]]:
        """What is due on each path: the path, frames, and the size of the datagram."""
        out: list[tuple[Path, list[PathChallenge | PathResponse], int]] = []
        for path in self.paths.with_frames(self.now):
            size = min(1200, path.budget_bytes())
            frames, _ = packet_of(path.frames, room=max(0, size - 40))
            if frames:
                path.frames.left(size)
                path.sent_bytes += size
                out.append((path, [f for f in frames if isinstance(f, PathChallenge | PathResponse)], size))
        return out

    def answer(self, path: Path) -> None:
        """The peer answers the challenges that are due on `path`; others are lost."""
        for sent, frames, _ in self.send():
            for frame in frames:
                if sent is path and isinstance(frame, PathChallenge):
                    self.paths.handle_response(path, frame.data, self.now)

    def wait(self) -> None:
        """Until the next thing is due, and do it."""
        due_ns = self.paths.poll_deadline()
        assert due_ns is not None
        assert due_ns >= self.now, "a deadline that is past and stays"
        self.now = due_ns
        self.paths.handle_timeout(self.now)

    def wait_for_all(self) -> None:
        """Until nothing is due any more."""
        for _ in range(100):
            if self.paths.poll_deadline() is None:
                return
            self.send()
            self.wait()
        raise AssertionError("something is always due")

    def events(self) -> list[Event]:
        found = list(self.paths.events)
        self.paths.events.clear()
        return found
