"""Where libibverbs' examples say that their queue pairs are."""

from __future__ import annotations

import socket
import threading

import pytest

from interop.peers.pingpong import first_message, page_pattern
from interop.peers.rendezvous import Place, address_of, exactly, gid_of, meet
from interop.peers.terms import PeerError, Terms, check_data, pattern


def test_place_is_the_text_that_the_examples_print() -> None:
    text = b"0000:000013:8615b7:00000000000000000000ffffc0000202\0"
    assert Place(0x13, 0x8615B7, "192.0.2.2").encode() == text
    assert Place.decode(text) == Place(0x13, 0x8615B7, "192.0.2.2")
    assert len(text) == 52


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_gid_is_the_address_of_either_family(address: str) -> None:
    assert address_of(gid_of(address)) == address
    assert len(gid_of(address)) == 16


@pytest.mark.parametrize("text", [b"", b"x" * 52, b"0000:000013:8615b7:" + b"0" * 31 + b"\0\0"])
def test_other_text_is_no_place(text: bytes) -> None:
    with pytest.raises(PeerError):
        Place.decode(text)


def test_two_sides_learn_each_others_places() -> None:
    found: dict[str, list[Place]] = {}

    def side(name: str, remote: str | None, numbers: list[int]) -> None:
        terms = Terms("127.0.0.1", remote, port)
        meet(terms, numbers, lambda _ours, theirs: found.update({name: theirs}), slots=3)

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    server = threading.Thread(target=side, args=("server", None, [1, 2]))
    server.start()
    side("client", "127.0.0.1", [7, 8])
    server.join()
    assert [place.qpn for place in found["client"]] == [1, 2]
    assert [place.qpn for place in found["server"]] == [7, 8]


def test_exchange_that_breaks_off_is_an_error() -> None:
    near, far = socket.socketpair()
    with near:
        far.sendall(b"done")
        far.close()
        with pytest.raises(PeerError, match="after 4 of 5"):
            exactly(near, 5)


def test_messages_have_zero_where_chk_looks_and_differ_from_each_other() -> None:
    for message in (first_message(10_000), page_pattern(1, 10_000)):
        assert (message[0], message[4096], message[8192], len(message)) == (0, 0, 0, 10_000)
    assert page_pattern(1, 64) != page_pattern(2, 64)
    assert first_message(3) == b"\0\x7b\x7b"


def test_first_wrong_byte_is_named() -> None:
    check_data("echo", pattern(3, 8), pattern(3, 8))
    with pytest.raises(PeerError, match="echo: byte 2 of 4 is 0x01 instead of 0x00"):
        check_data("echo", b"\0\0\1\0", bytes(4))
    with pytest.raises(PeerError, match="3 bytes instead of 4"):
        check_data("echo", bytes(3), bytes(4))
