"""The relay between UDP sockets, in virtual time."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

from tests.transports.relay.rig import MS, FakeDatagrams, Rig
from transports.datagram import Address
from transports.errors import TransportError
from transports.relay import DirectionConfig, UdpRelay, UdpRelayConfig
from transports.relay.recording import record_datagrams
from wire.pcapng import decode_packets

SERVER: Address = ("192.0.2.9", 443)
ALICE: Address = ("192.0.2.1", 1111)
BOB: Address = ("192.0.2.2", 2222)


class UdpRig(Rig):
    """With a listening socket, and upstream sockets in the order in which they were opened."""

    def __init__(self, there: DirectionConfig, back: DirectionConfig | None = None, clients: int = 8) -> None:
        super().__init__(there, back)
        self.upstream: list[FakeDatagrams] = []
        self.listening = FakeDatagrams(("192.0.2.100", 5000))
        self.ports = itertools.count(40000)
        self.link = UdpRelay(
            self.relay,
            self.listening,
            UdpRelayConfig(to=SERVER, clients=clients),
            forward=self.forward,
            back=self.back,
            open_upstream=self.open,
        )

    def open(self) -> FakeDatagrams:
        self.upstream.append(FakeDatagrams(("192.0.2.100", next(self.ports))))
        return self.upstream[-1]

    def turn(self, after_ns: int = 0) -> None:
        """A pass in which everything is read."""
        self.pump(self.link.listening, *self.link.upstream_ends, after_ns=after_ns)


def test_a_datagram_reaches_the_server_after_the_delay_and_its_answer_the_client() -> None:
    rig = UdpRig(DirectionConfig(delay="5ms"), DirectionConfig(delay="2ms"))
    rig.listening.arrive(ALICE, b"question", ecn=2)
    rig.turn()
    rig.turn(after_ns=5 * MS - 1)
    assert rig.upstream[0].sent == []
    rig.turn(after_ns=1)
    assert rig.upstream[0].sent == [(SERVER, b"question", 2)]
    rig.upstream[0].arrive(SERVER, b"answer", ecn=3)
    rig.turn()
    rig.turn(after_ns=2 * MS)
    assert rig.listening.sent == [(ALICE, b"answer", 3)]


def test_every_client_has_a_socket_of_its_own() -> None:
    rig = UdpRig(DirectionConfig())
    rig.listening.arrive(ALICE, b"a")
    rig.listening.arrive(BOB, b"b")
    rig.turn()
    rig.turn()
    assert [[payload for _, payload, _ in each.sent] for each in rig.upstream] == [[b"a"], [b"b"]]
    rig.upstream[1].arrive(SERVER, b"for bob")
    rig.turn()
    rig.turn()
    assert rig.listening.sent == [(BOB, b"for bob", 0)]


def test_only_the_server_can_answer() -> None:
    rig = UdpRig(DirectionConfig())
    rig.listening.arrive(ALICE, b"a")
    rig.turn()
    rig.upstream[0].arrive(BOB, b"spoofed")
    rig.turn()
    rig.turn()
    assert rig.listening.sent == []


def test_equal_datagrams_that_are_due_together_leave_in_one_call() -> None:
    rig = UdpRig(DirectionConfig(delay="1ms"))
    rig.listening.arrive(ALICE, b"1" * 100, b"2" * 100, b"3" * 40)
    rig.listening.arrive(ALICE, b"4" * 100, ecn=1)
    rig.turn()
    rig.turn(after_ns=MS)
    sent = rig.upstream[0].sent
    assert [(len(payload), ecn) for _, payload, ecn in sent] == [(100, 0), (100, 0), (40, 0), (100, 1)]
    assert rig.upstream[0].transmits == 2


def test_datagrams_of_a_slow_link_leave_one_by_one_at_its_rate() -> None:
    # 97 bytes and 28 of headers are 1,000 bits: 1 ms at 1 Mbit/s.
    rig = UdpRig(DirectionConfig(rate="1mbit"))
    rig.listening.arrive(ALICE, b"1" * 97, b"2" * 97)
    rig.turn()
    for expected in (0, 1, 2):
        assert len(rig.upstream[0].sent) == expected if rig.upstream else not expected
        rig.turn(after_ns=MS)


def test_a_full_socket_is_tried_again_and_the_wait_counts_as_lateness() -> None:
    rig = UdpRig(DirectionConfig(delay="1ms"))
    rig.listening.arrive(ALICE, b"1")
    rig.turn()
    rig.upstream[0].has_room = False
    rig.turn(after_ns=MS)
    assert rig.relay.is_blocked
    rig.upstream[0].has_room = True
    rig.turn(after_ns=3 * MS)
    assert not rig.relay.is_blocked
    assert [payload for _, payload, _ in rig.upstream[0].sent] == [b"1"]
    assert rig.relay.punctuality.departure.max_ns == 3 * MS
    assert not rig.relay.punctuality.is_valid


def test_rebinding_gives_every_client_a_new_port_and_forgets_the_old_one() -> None:
    rig = UdpRig(DirectionConfig(delay="1ms"))
    rig.turn(after_ns=30 * MS)  # nobody is there yet, and the time does not run
    rig.link.rebind_after(10 * MS)
    rig.listening.arrive(ALICE, b"before")
    rig.turn()
    rig.turn(after_ns=10 * MS)
    assert (rig.link.rebindings, len(rig.upstream)) == (1, 2)
    assert rig.upstream[0].fileno() == -1
    rig.listening.arrive(ALICE, b"after")
    rig.turn()
    rig.turn(after_ns=MS)
    assert [payload for _, payload, _ in rig.upstream[1].sent] == [b"after"]
    rig.upstream[1].arrive(SERVER, b"still there")
    rig.turn()
    rig.turn(after_ns=MS)
    assert rig.listening.sent == [(ALICE, b"still there", 0)]


def test_rebinding_may_give_clients_another_address_too() -> None:
    # Real sockets, since it is they that are bound.
    rig = UdpRig(DirectionConfig())
    rig.link = UdpRelay(
        rig.relay,
        FakeDatagrams(("127.0.0.1", 5001)),
        UdpRelayConfig(to=("127.0.0.1", 9), hosts=("127.0.0.3", "127.0.0.4")),
        forward=rig.forward,
        back=rig.back,
    )
    with contextlib.closing(rig.link):
        rig.link.listening.transport.arrive(ALICE, b"x")  # type: ignore[attr-defined]
        rig.turn()
        client = rig.link.client_at(ALICE)
        found = [client.upstream.transport.address[0]]
        for _ in range(2):
            rig.link.rebind()
            found.append(client.upstream.transport.address[0])
    assert found == ["127.0.0.3", "127.0.0.4", "127.0.0.3"]


def test_a_capture_shows_a_client_where_each_side_sees_it(tmp_path: Path) -> None:
    rig = UdpRig(DirectionConfig())
    file = record_datagrams(
        rig.relay, rig.forward, rig.back, tmp_path / "x.pcapng", link=rig.link, on_stop=print
    )
    rig.listening.arrive(ALICE, b"there")
    rig.turn()
    rig.link.rebind()
    rig.upstream[1].arrive(SERVER, b"back")
    rig.turn()
    file.close()
    found = []
    for each in decode_packets((tmp_path / "x.pcapng").read_bytes()):
        ports = int.from_bytes(each.data[34:36], "big"), int.from_bytes(each.data[36:38], "big")
        found.append((each.interface, ports))
    assert found == [(0, (1111, 443)), (1, (40000, 443)), (2, (443, 40001)), (3, (443, 1111))]


def test_the_idlest_client_gives_way_to_one_too_many() -> None:
    rig = UdpRig(DirectionConfig(), clients=2)
    for source in (ALICE, BOB, ALICE, ("192.0.2.3", 3)):
        rig.listening.arrive(source, b"x")
        rig.turn(after_ns=MS)
    rig.turn()
    clients = [each["address"] for each in rig.link.as_json()["clients"]]  # type: ignore[index,union-attr,call-overload]
    assert clients == ["192.0.2.1:1111", "192.0.2.3:3"]
    assert [each.fileno() == -1 for each in rig.upstream] == [False, True, False]


def test_a_client_for_whom_there_is_no_socket_is_counted() -> None:
    rig = UdpRig(DirectionConfig())

    def fail() -> FakeDatagrams:
        raise TransportError("no more files")

    rig.link = UdpRelay(
        rig.relay,
        FakeDatagrams(("192.0.2.100", 5001)),
        UdpRelayConfig(to=SERVER),
        forward=rig.forward,
        back=rig.back,
        open_upstream=fail,
    )
    assert isinstance(rig.link.listening.transport, FakeDatagrams)
    rig.link.listening.transport.arrive(ALICE, b"x")
    rig.turn()
    assert rig.link.refused_clients == 1


def test_corruption_flips_a_bit_of_the_payload() -> None:
    rig = UdpRig(DirectionConfig())
    rig.listening.arrive(ALICE, b"whole")

    def corrupt(packet) -> None:  # type: ignore[no-untyped-def]
        packet.is_corrupt = True
        packet.forward()

    rig.turn()
    client = rig.link.client_at(ALICE)
    client.route_forward = (corrupt, *client.route_forward)
    rig.listening.arrive(ALICE, b"\x00\x00")
    rig.turn()
    rig.turn()
    assert [payload for _, payload, _ in rig.upstream[0].sent] == [b"whole", b"\x00\x01"]


def test_how_late_a_departure_was_is_told_of_every_datagram() -> None:
    rig = UdpRig(DirectionConfig(delay="1ms"))
    rig.listening.arrive(ALICE, b"1" * 10, b"2" * 10)
    rig.turn()
    rig.turn(after_ns=MS + 300_000)
    departure = rig.relay.punctuality.departure
    assert (departure.count, departure.max_ns) == (2, 300_000)


def test_how_long_a_datagram_may_have_waited_is_told_too() -> None:
    rig = UdpRig(DirectionConfig())
    rig.listening.arrive(ALICE, b"1" * 10, b"2" * 10)
    rig.turn(after_ns=700_000)
    arrival = rig.relay.punctuality.arrival
    assert (arrival.count, arrival.max_ns) == (2, 700_000)
