"""Both ends' connection IDs against each other, over a network that loses, repeats and reorders (RFC 9000 5.1)."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stacks.quic.configuration import Configuration
from stacks.quic.packet_writer import SentFrame
from stacks.quic.paths import LocalConnectionIds, PeerConnectionIds
from tests.stacks.quic.paths.frames import Frame, packet_of
from wire.quic.frames import NewConnectionId, RetireConnectionId
from wire.quic.parameters import TransportParameters


class IdExchange(RuleBasedStateMachine):
    """`giver` gives, `user` uses up to three paths. Packets are frames with their records, both ways."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = 4
        self.giver = LocalConnectionIds(Configuration(), b"number 0", rng=random.Random(5), reset_key=b"k")
        self.giver.apply_peer_parameters(TransportParameters(active_connection_id_limit=self.limit))
        self.user = PeerConnectionIds(
            Configuration(active_connection_id_limit=self.limit), b"number 0", ("192.0.2.1", 1), is_client=False
        )
        self.paths = [b"number 0"]
        self.to_user: list[tuple[list[Frame], list[SentFrame]]] = []
        self.to_giver: list[tuple[list[Frame], list[SentFrame], bytes]] = []
        self.giver.issue()

    @rule(room=st.sampled_from([30, 60, 1000]))
    def giver_sends(self, room: int) -> None:
        frames, records = packet_of(self.giver, room=room)
        if frames:
            self.to_user.append((frames, records))

    @rule(room=st.sampled_from([2, 4, 1000]))
    def user_sends(self, room: int) -> None:
        frames, records = packet_of(self.user, room=room)
        if frames:
            self.to_giver.append((frames, records, self.paths[0]))

    @precondition(lambda self: self.to_user)
    @rule(data=st.data(), repeats=st.booleans())
    def user_receives(self, data: st.DataObject, repeats: bool) -> None:
        index = data.draw(st.integers(0, len(self.to_user) - 1))
        frames, records = self.to_user[index] if repeats else self.to_user.pop(index)
        for frame in frames:
            assert isinstance(frame, NewConnectionId)
            self.user.handle_new(frame, 0)
        self.renew_paths()
        _tell(records, lambda record: record.acked(0))

    @precondition(lambda self: self.to_giver)
    @rule(data=st.data(), repeats=st.booleans())
    def giver_receives(self, data: st.DataObject, repeats: bool) -> None:
        index = data.draw(st.integers(0, len(self.to_giver) - 1))
        frames, records, used = self.to_giver[index] if repeats else self.to_giver.pop(index)
        for frame in frames:
            assert isinstance(frame, RetireConnectionId)
            self.giver.handle_retire(frame.sequence_number, used, 0)
        _tell(records, lambda record: record.acked(0))

    @precondition(lambda self: self.to_user)
    @rule()
    def a_packet_to_the_user_is_lost(self) -> None:
        _tell(self.to_user.pop(0)[1], lambda record: record.lost(0))

    @precondition(lambda self: self.to_giver)
    @rule()
    def a_packet_to_the_giver_is_lost(self) -> None:
        _tell(self.to_giver.pop(0)[1], lambda record: record.lost(0))

    @rule()
    def user_opens_a_path(self) -> None:
        fresh = self.user.take_fresh() if len(self.paths) < 3 else None
        if fresh is not None:
            assert fresh not in self.paths
            self.paths.append(fresh)

    @precondition(lambda self: len(self.paths) > 1)
    @rule()
    def user_leaves_its_oldest_path(self) -> None:
        self.user.retire(self.paths.pop(0))

    @rule()
    def giver_replaces_all(self) -> None:
        self.giver.replace_all()

    def renew_paths(self) -> None:
        self.paths = [path for path in self.paths if self.user.is_active(path)]
        if not self.paths:
            fresh = self.user.take_fresh()
            assert fresh is not None, "the peer left us without an ID"
            self.paths.append(fresh)

    @invariant()
    def whatever_the_user_uses_is_known_to_the_giver(self) -> None:
        for path in self.paths:
            assert self.giver.is_ours(path)

    @invariant()
    def there_are_never_many(self) -> None:
        assert len(self.giver.all()) <= 2 * self.limit

    def teardown(self) -> None:
        """When everything arrives, the peer has all that it keeps again."""
        self.to_user.clear()
        for _ in range(20):
            for frame in packet_of(self.giver)[0]:
                assert isinstance(frame, NewConnectionId)
                self.user.handle_new(frame, 0)
            self.renew_paths()
            for frame in packet_of(self.user)[0]:
                assert isinstance(frame, RetireConnectionId)
                self.giver.handle_retire(frame.sequence_number, b"", 0)
        assert not self.giver.has_frames
        assert not self.user.has_frames


def _tell(records: list[SentFrame], what: Callable[[SentFrame], object]) -> None:
    for record in records:
        what(record)


TestIdExchange = IdExchange.TestCase
TestIdExchange.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
