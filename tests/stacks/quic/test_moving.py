"""Whole connections whose client moves, or seems to (RFC 9000 8.2, 9; the interop runner's rebind and migration)."""

from __future__ import annotations

import pytest

from stacks.quic.connection import Connection, ConnectionState
from stacks.quic.events import PathFailed, StreamReadable
from stacks.runtime import LocalError
from tests.stacks.quic.rig import (
    CLIENT,
    MILLISECOND_NS,
    SECOND_NS,
    SERVER,
    Rig,
    client_configuration,
    events_of,
    server_configuration,
)
from tests.stacks.quic.sniffer import Sighting, SniffedRig
from transports.datagram import Address
from transports.packets import Packet
from transports.simulation import Impairments
from wire.quic.frames import PathChallenge, PathResponse, Stream

ELSEWHERE = ("10.0.0.9", 50_001)
SIZE = 400_000


class Nat:
    """What stands before the client: it has an address outside, which may change at any time."""

    def __init__(self, rig: SniffedRig) -> None:
        self.outside: Address = CLIENT
        self.former: list[Address] = []
        rig.network.hook = self._translate

    def rebind(self, outside: Address) -> None:
        """From now on; what still comes to the former address is lost."""
        self.former.append(self.outside)
        self.outside = outside

    def _translate(self, packet: Packet) -> tuple[Packet, ...]:
        changed = packet.copy()
        if packet.source == CLIENT:
            changed.source = self.outside
        elif packet.destination == self.outside:
            changed.destination = CLIENT
        elif packet.destination in self.former:
            return ()
        return (changed,)


class Transfer:
    """`size` bytes from one end to the other; `step` lets time pass."""

    def __init__(self, rig: SniffedRig, source: Connection, sink: Connection, size: int = SIZE) -> None:
        self.rig = rig
        self.sink = sink
        self.data = bytes(index * 7 & 255 for index in range(size))
        self.got = bytearray()
        self.stream = source.open_stream()
        source.write(self.stream, self.data, is_fin=True)

    def step(self, for_ns: int = 10 * MILLISECOND_NS) -> bool:
        """Whether all is there."""
        self.rig.run(for_ns)
        while (event := self.sink.poll_event()) is not None:
            if isinstance(event, StreamReadable) and event.stream_id == self.stream:
                self.got += self.sink.read(self.stream)
        return len(self.got) == len(self.data)

    def finish(self, within_ns: int = 20 * SECOND_NS) -> None:
        end_ns = self.rig.now + within_ns
        while not self.step():
            assert self.rig.now < end_ns, f"{len(self.got)} of {len(self.data)} bytes after {within_ns / 1e9} s"
        assert bytes(self.got) == self.data


def sent_to(rig: SniffedRig, address: Address) -> list[Sighting]:
    return [packet for packet in rig.seen if packet.what == "sent" and packet.destination == address]


@pytest.mark.parametrize("outside", [("10.0.0.1", 61_000), ("10.0.7.7", 50_000)], ids=["port", "address"])
@pytest.mark.parametrize("is_download", [True, False], ids=["down", "up"])
def test_a_transfer_goes_on_when_the_client_is_rebound(outside: Address, is_download: bool) -> None:
    rig = SniffedRig()
    nat = Nat(rig)
    client, server = rig.establish()
    transfer = Transfer(rig, *((server, client) if is_download else (client, server)))
    for _ in range(5):
        transfer.step()
    nat.rebind(outside)
    if is_download:
        client.ping()  # who only receives has to say something from the new address
        rig.client_host.wake()
    transfer.finish()
    assert server.path.remote == outside
    assert server.path.is_validated
    assert server.state == client.state == ConnectionState.CONFIRMED
    came = next(packet.size for packet in rig.seen if packet.source == outside)
    first = sent_to(rig, outside)[0]
    assert first.has(PathChallenge)  # the runner's rebind cases want it in the first packet on a new path
    assert first.size == 1200 if 3 * came >= 1200 else first.size <= 3 * came


def test_each_challenge_is_answered_on_its_path_in_a_full_datagram() -> None:
    rig = SniffedRig()
    nat = Nat(rig)
    client, server = rig.establish()
    nat.rebind(("10.0.7.7", 50_000))
    Transfer(rig, client, server).finish()
    delivered = [packet for packet in rig.seen if packet.what == "delivered"]
    challenges = {
        frame.data: packet for packet in delivered for frame in packet.frames if isinstance(frame, PathChallenge)
    }
    assert challenges
    answered = set()
    for packet in rig.seen:
        for frame in packet.frames if packet.what == "sent" else ():
            if isinstance(frame, PathResponse):
                challenge = challenges[frame.data]
                assert (packet.source, packet.destination) == (challenge.destination, challenge.source)
                assert packet.size >= min(1200, 3 * challenge.size)
                answered.add(frame.data)
    assert answered == set(challenges)


@pytest.mark.parametrize("size", [50, 400_000])
def test_a_new_address_gets_no_more_than_three_times_what_it_sent_before_it_answered(size: int) -> None:
    rig = SniffedRig(impairments=Impairments(delay_ns=10 * MILLISECOND_NS, rate_bps=20_000_000))
    nat = Nat(rig)
    client, server = rig.establish()
    transfer = Transfer(rig, server, client, size=1_000_000)
    for _ in range(20):
        transfer.step()
    outside = ("10.0.7.7", 50_000)
    nat.rebind(outside)
    before = len(rig.seen)
    stream = client.open_stream()
    client.write(stream, bytes(size), is_fin=True)
    transfer.finish()
    came = left = 0
    for packet in rig.seen[before:]:
        if packet.what == "delivered" and packet.source == outside:
            came += packet.size
            if packet.has(PathResponse):
                break
        elif packet.what == "sent" and packet.destination == outside:
            left += packet.size
            assert left <= 3 * came
    else:
        raise AssertionError("the new address never answered")
    assert left > 0


@pytest.mark.parametrize("seed", range(4))
def test_a_client_behind_a_nat_that_forgets_all_the_time_gets_its_data(seed: int) -> None:
    rig = SniffedRig(seed=seed, impairments=Impairments(delay_ns=10 * MILLISECOND_NS, loss=0.01))
    nat = Nat(rig)
    client, server = rig.establish()
    transfer = Transfer(rig, server, client, size=1_000_000)
    for index in range(400):
        if transfer.step():
            break
        if index % 25 == 24:
            nat.rebind((f"10.0.7.{index % 250}", 50_000 + index))
            client.ping()
    transfer.finish()
    assert server.state == ConnectionState.CONFIRMED


@pytest.mark.parametrize("seed", range(4))
def test_a_client_that_moves_on_a_lossy_path_gets_its_data(seed: int) -> None:
    rig = SniffedRig(seed=seed, impairments=Impairments(delay_ns=10 * MILLISECOND_NS, loss=0.03))
    client, server = rig.establish()
    rig.network.attach(rig.client, ELSEWHERE)
    transfer = Transfer(rig, server, client)
    for _ in range(5):
        transfer.step()
    client.migrate(ELSEWHERE, rig.now)
    transfer.finish()
    rig.run(5 * SECOND_NS)
    assert server.path.remote in (ELSEWHERE, CLIENT)  # the latter if all challenges were lost
    assert client.path.local == server.path.remote


def test_no_connection_id_is_seen_on_two_paths_of_a_client_that_moves() -> None:
    """9.5: nobody can link them."""
    rig = SniffedRig()
    client, server = rig.establish()
    rig.network.attach(rig.client, ELSEWHERE)
    Transfer(rig, server, client).finish()
    client.migrate(ELSEWHERE, rig.now)
    rig.run(SECOND_NS)
    Transfer(rig, client, server).finish()
    rig.run(8 * SECOND_NS)
    used: dict[tuple[Address, Address], set[bytes]] = {}
    for packet in rig.seen:
        used.setdefault((packet.source, packet.destination), set()).add(packet.cid)
    assert server.path.remote == ELSEWHERE
    assert not used[CLIENT, SERVER] & used[ELSEWHERE, SERVER]
    assert not used[SERVER, CLIENT] & used[SERVER, ELSEWHERE]


def test_data_does_not_go_where_the_peer_did_not_answer_yet() -> None:
    """9.1: a move begins with probes alone."""
    rig = SniffedRig()
    client, server = rig.establish()
    rig.network.attach(rig.client, ELSEWHERE)
    transfer = Transfer(rig, client, server)
    client.migrate(ELSEWHERE, rig.now)
    transfer.finish()
    answered = False
    for packet in rig.seen:
        answered |= packet.what == "delivered" and packet.destination == ELSEWHERE and packet.has(PathResponse)
        if packet.source == ELSEWHERE and packet.has(Stream):
            assert answered


def test_a_move_to_where_nothing_passes_is_given_up() -> None:
    rig = SniffedRig()
    client, server = rig.establish()
    rig.network.attach(rig.client, ELSEWHERE)
    rig.network.hook = lambda packet: () if ELSEWHERE in (packet.source, packet.destination) else (packet,)
    client.migrate(ELSEWHERE, rig.now)
    Transfer(rig, client, server).finish()
    rig.run(5 * SECOND_NS)
    assert [event for event in events_of(client) if isinstance(event, PathFailed)]
    assert client.path.local == CLIENT
    Transfer(rig, server, client).finish()


def test_old_path_and_round_trips_of_it_do_not_count_for_the_new_one() -> None:
    """9.4: a path of 200 ms after one of 20 ms."""
    rig = SniffedRig()
    client, server = rig.establish()
    Transfer(rig, server, client).finish()
    rig.network.attach(rig.client, ELSEWHERE)
    rig.network.impairments = Impairments(delay_ns=100 * MILLISECOND_NS)
    client.migrate(ELSEWHERE, rig.now)
    rig.run(SECOND_NS)
    Transfer(rig, server, client).finish(60 * SECOND_NS)
    assert server.path.remote == ELSEWHERE
    assert server.path.congestion.rtt.min_ns >= 200 * MILLISECOND_NS
    assert client.path.congestion.rtt.min_ns >= 200 * MILLISECOND_NS


def test_the_mtu_of_a_new_path_is_found_anew() -> None:
    rig = SniffedRig()
    client, server = rig.establish()
    rig.run(SECOND_NS)
    assert server.path.datagram_bytes == 1452
    rig.network.attach(rig.client, ELSEWHERE)
    rig.network.hook = lambda packet: (
        () if ELSEWHERE in (packet.source, packet.destination) and len(packet.payload) > 1390 else (packet,)
    )
    client.migrate(ELSEWHERE, rig.now)
    rig.run(SECOND_NS)
    Transfer(rig, server, client).finish()
    assert server.path.remote == ELSEWHERE
    assert 1300 < server.path.datagram_bytes <= 1390


class Thief:
    """On the path: sends copies of the client's packets from elsewhere, before the true ones arrive."""

    def __init__(self, rig: SniffedRig, at: Address, *, count: int) -> None:
        self._at = at
        self._left = count
        rig.network.hook = self._steal

    def _steal(self, packet: Packet) -> tuple[Packet, ...]:
        if packet.source != CLIENT or not self._left:
            return (packet,)
        self._left -= 1
        copy = packet.copy()
        copy.source = self._at
        return (copy, packet)  # the true one is a duplicate then


@pytest.mark.parametrize("count", [1, 5, 12])
def test_copies_from_elsewhere_do_not_lead_us_away(count: int) -> None:
    """9.3.2, 9.3.3: the server goes there, gets no answer, and hears of the true client."""
    rig = SniffedRig()
    client, server = rig.establish()
    thief = ("10.6.6.6", 666)
    Thief(rig, thief, count=count)
    Transfer(rig, client, server, size=100_000).finish()
    rig.run(5 * SECOND_NS)
    assert server.path.remote == CLIENT
    Transfer(rig, server, client, size=100_000).finish()
    assert server.state == client.state == ConnectionState.CONFIRMED
    came = sum(size for what, source, _, size in rig.datagrams if what == "delivered" and source == thief)
    left = sum(size for what, _, to, size in rig.datagrams if what == "sent" and to == thief)
    assert left <= 3 * came


def test_a_client_that_is_silent_after_a_theft_is_found_again() -> None:
    """The last packet is stolen: nothing true follows by itself, and the challenge to the old address brings it."""
    rig = SniffedRig()
    client, server = rig.establish()
    rig.run(SECOND_NS)
    Thief(rig, ("10.6.6.6", 666), count=1)
    client.ping()
    rig.run(50 * MILLISECOND_NS)
    assert any(packet.source == ("10.6.6.6", 666) for packet in rig.seen)
    rig.run(5 * SECOND_NS)
    assert server.path.remote == CLIENT
    Transfer(rig, server, client, size=50_000).finish()


def test_a_server_that_does_not_let_clients_move_follows_a_rebound_one() -> None:
    rig = SniffedRig(server={"disable_active_migration": True})
    nat = Nat(rig)
    client, server = rig.establish()
    nat.rebind(("10.0.7.7", 50_000))
    Transfer(rig, client, server).finish()
    assert server.path.remote == ("10.0.7.7", 50_000)


def test_two_seconds_of_nothing_cost_no_more_than_that() -> None:
    """The runner's blackhole, after which full datagrams are used again."""
    rig = SniffedRig()
    client, server = rig.establish()
    transfer = Transfer(rig, server, client, size=2_000_000)
    for _ in range(5):
        transfer.step()
    assert transfer.got != transfer.data
    rig.network.hook = lambda _: ()
    rig.run(2 * SECOND_NS)
    rig.network.hook = None
    transfer.finish(6 * SECOND_NS)
    rig.run(SECOND_NS)
    assert server.path.datagram_bytes == 1452


@pytest.mark.parametrize("size", [4, 20])
@pytest.mark.parametrize("who", ["client", "server"])
def test_connection_ids_have_any_length_that_tells_connections_apart(who: str, size: int) -> None:
    make = client_configuration if who == "client" else server_configuration
    rig = Rig(**{who: make(connection_id_bytes=size)})
    client, server = rig.establish()
    assert client.state == server.state == ConnectionState.CONFIRMED
    assert len((server if who == "client" else client).path.peer_cid) == size


@pytest.mark.parametrize("size", [0, 3, 21])
def test_connection_ids_that_do_not_are_refused_in_words(size: int) -> None:
    with pytest.raises(LocalError, match="connection_id_bytes"):
        Rig().connect(client_configuration(connection_id_bytes=size))
    with pytest.raises(LocalError, match="connection_id_bytes"):
        Rig(server=server_configuration(connection_id_bytes=size))
