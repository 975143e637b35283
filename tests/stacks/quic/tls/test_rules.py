"""What aioquic leaves out and QUIC demands: levels, changes of keys, and messages that must not come."""

from __future__ import annotations

import hashlib

import pytest
from aioquic import tls
from aioquic.buffer import Buffer

from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.levels import LEVEL_HANDSHAKE, LEVEL_INITIAL, LEVEL_ONE_RTT, LEVEL_ZERO_RTT
from stacks.quic.tls.tls import HELLO_RETRY_RANDOM
from tests.stacks.quic.tls.bare import BareClient, BareServer
from tests.stacks.quic.tls.rig import PARAMETERS, Ends, ends

UNEXPECTED = 0x100 + 10


def _code(run: Ends, level: int, data: bytes, *, at_server: bool = True) -> int:
    with pytest.raises(QuicError) as caught:
        (run.server if at_server else run.client).handle_crypto(level, data, 0)
    return caught.value.code


def _hello(pair: Ends) -> bytes:
    pair.client.start()
    piece = pair.client.poll_crypto()
    assert piece is not None
    return piece[1]


@pytest.mark.parametrize("level", [LEVEL_ZERO_RTT, LEVEL_HANDSHAKE, LEVEL_ONE_RTT])
def test_client_hello_belongs_into_initial_packets(level: int) -> None:
    pair = ends()
    assert _code(pair, level, _hello(pair)) == UNEXPECTED


def test_more_initial_data_after_the_client_hello_crosses_the_change_of_keys() -> None:
    """RFC 9001 4.1.3: unconsumed data of the previous level is PROTOCOL_VIOLATION."""
    pair = ends()
    assert _code(pair, LEVEL_INITIAL, _hello(pair) + b"\x14") == TransportErrorCode.PROTOCOL_VIOLATION


def test_later_initial_data_extends_an_old_level() -> None:
    pair = ends()
    pair.server.handle_crypto(LEVEL_INITIAL, _hello(pair), 0)
    assert _code(pair, LEVEL_INITIAL, b"\x14") == TransportErrorCode.PROTOCOL_VIOLATION


def test_handshake_data_after_finished_crosses_the_change_of_keys() -> None:
    def change(is_client: bool, level: int, data: bytes) -> bytes:
        return data + b"\x00" if is_client and level == LEVEL_HANDSHAKE else data

    with pytest.raises(QuicError, match="cross") as caught:
        ends().run(change=change)
    assert caught.value.code == TransportErrorCode.PROTOCOL_VIOLATION


@pytest.mark.parametrize("at_server", [True, False])
def test_tls_key_update_is_refused(at_server: bool) -> None:
    """RFC 9001 6: 0x10a."""
    assert _code(ends().run(), LEVEL_ONE_RTT, bytes.fromhex("1800000100"), at_server=at_server) == 0x10A


def test_end_of_early_data_is_refused() -> None:
    """RFC 9001 8.3: the message is not used."""
    pair = ends()
    pair.server.handle_crypto(LEVEL_INITIAL, _hello(pair), 0)
    assert _code(pair, LEVEL_HANDSHAKE, bytes.fromhex("05000000")) == UNEXPECTED


def test_certificate_request_after_the_handshake_is_a_violation() -> None:
    """RFC 9001 4.4."""
    assert _code(ends().run(), LEVEL_ONE_RTT, bytes.fromhex("0d000003000000"), at_server=False) == (
        TransportErrorCode.PROTOCOL_VIOLATION
    )


def test_anything_at_a_complete_server_is_unexpected() -> None:
    assert _code(ends().run(), LEVEL_ONE_RTT, bytes.fromhex("0400000100")) == UNEXPECTED


def test_session_id_in_the_client_hello_is_a_violation() -> None:
    """RFC 9001 8.4: no compatibility mode."""
    pair = ends()
    hello = _hello(pair)
    longer = (int.from_bytes(hello[1:4], "big") + 32).to_bytes(3, "big")
    assert _code(pair, LEVEL_INITIAL, hello[:1] + longer + hello[4:38] + b"\x20" + bytes(32) + hello[39:]) == (
        TransportErrorCode.PROTOCOL_VIOLATION
    )


def test_session_id_in_the_server_hello_is_illegal() -> None:
    def change(is_client: bool, level: int, data: bytes) -> bytes:
        if is_client or level != LEVEL_INITIAL:
            return data
        return (
            data[:1] + (int.from_bytes(data[1:4], "big") + 1).to_bytes(3, "big") + data[4:38] + b"\x01\x00" + data[39:]
        )

    with pytest.raises(QuicError, match="session ID") as caught:
        ends().run(change=change)
    assert caught.value.code == 0x100 + 47


@pytest.mark.parametrize("at_server", [True, False])
@pytest.mark.parametrize(
    ("extensions", "code"),
    [
        ([], 0x16D),
        ([(0x39, PARAMETERS.encode())] * 2, 0x100 + 47),
        ([(0x39, b"\x04\x09\x00")], TransportErrorCode.TRANSPORT_PARAMETER_ERROR),
    ],
    ids=["missing: RFC 9001 8.2", "twice", "undecodable"],
)
def test_transport_parameters_that_are_wrong(extensions: list[tuple[int, bytes]], code: int, at_server: bool) -> None:
    pair = ends()
    if at_server:
        pieces = BareClient(extensions=extensions).receive(b"")
    else:
        pieces = BareServer(extensions=extensions).receive(_hello(pair))
    end = pair.server if at_server else pair.client
    with pytest.raises(QuicError) as caught:  # noqa: PT012 - the piece that is wrong need not be the first
        for level, data in pieces:
            end.handle_crypto(level, data, 0)
    assert caught.value.code == code


def test_hello_retry_request_is_told_as_such() -> None:
    assert hashlib.sha256(b"HelloRetryRequest").digest() == HELLO_RETRY_RANDOM
    pair = ends()
    pair.client.start()
    request = tls.ServerHello(
        random=HELLO_RETRY_RANDOM,
        legacy_session_id=b"",
        cipher_suite=0x1301,
        compression_method=0,
        supported_version=0x0304,
    )
    out = Buffer(capacity=512)
    tls.push_server_hello(out, request)
    with pytest.raises(QuicError, match="HelloRetryRequest") as caught:
        pair.client.handle_crypto(LEVEL_INITIAL, out.data, 0)
    assert caught.value.code == 0x100 + 40


def test_endless_message_is_refused_at_its_header() -> None:
    assert _code(ends(), LEVEL_INITIAL, b"\x01\xff\xff\xff") == TransportErrorCode.CRYPTO_BUFFER_EXCEEDED
