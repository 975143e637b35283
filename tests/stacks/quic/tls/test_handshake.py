"""A handshake between two ends: what comes out of it, in which order, and that a seed decides every byte."""

from __future__ import annotations

import random

import pytest

from stacks.quic.configuration import Configuration
from stacks.quic.errors import QuicError
from stacks.quic.levels import LEVEL_HANDSHAKE, LEVEL_INITIAL, LEVEL_ONE_RTT
from stacks.quic.tls import TlsSettings, make_self_signed
from stacks.runtime.errors import LocalError
from tests.stacks.quic.tls.rig import NAME, PARAMETERS, certificate, client_settings, ends, server_settings


def test_both_ends_complete_with_the_same_secrets() -> None:
    done = ends().run()
    assert done.client.is_complete
    assert done.server.is_complete
    sent = {(each.level, each.suite, each.secret) for each in done.secrets[True] if each.is_sending}
    received = {(each.level, each.suite, each.secret) for each in done.secrets[False] if not each.is_sending}
    assert sent == received
    assert len(sent) == 2


def test_secrets_come_in_the_order_of_rfc_9001() -> None:
    """RFC 9001 figure 5: a server may send 1-RTT before it may receive it."""
    done = ends().run()
    order = [(each.level, each.is_sending) for each in done.secrets[False]]
    assert order == [
        (LEVEL_HANDSHAKE, True),
        (LEVEL_HANDSHAKE, False),
        (LEVEL_ONE_RTT, True),
        (LEVEL_ONE_RTT, False),
    ]


def test_messages_travel_on_their_levels() -> None:
    done = ends().run()
    assert [(is_client, level, data[0]) for is_client, level, data in done.flights] == [
        (True, LEVEL_INITIAL, 1),
        (False, LEVEL_INITIAL, 2),
        (False, LEVEL_HANDSHAKE, 8),
        (True, LEVEL_HANDSHAKE, 20),
        (False, LEVEL_ONE_RTT, 4),
    ]


def test_names_protocol_and_parameters_are_known() -> None:
    done = ends(
        client=client_settings(alpn=("h3", "hq-interop")), server=server_settings(alpn=("hq-interop", "h3"))
    ).run()
    assert done.client.alpn == done.server.alpn == "hq-interop"
    assert done.server.server_name == NAME
    assert done.client.peer_parameters is not None
    assert done.client.peer_parameters.initial_max_data == PARAMETERS.initial_max_data


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303])
def test_client_restricts_the_cipher_suite(suite: int) -> None:
    done = ends(client=client_settings(cipher_suites=(suite,))).run()
    assert {each.suite for each in done.secrets[True]} == {suite}


def test_same_seed_gives_the_same_bytes() -> None:
    first, second = ends(rng=random.Random(11)).run(), ends(rng=random.Random(11)).run()
    assert first.flights == second.flights
    assert first.secrets == second.secrets


def test_another_seed_gives_other_bytes_of_the_same_sizes() -> None:
    first, second = ends(rng=random.Random(11)).run(), ends(rng=random.Random(12)).run()
    assert first.secrets != second.secrets
    assert [len(data) for *_, data in first.flights] == [len(data) for *_, data in second.flights]


def test_system_randomness_works_as_well() -> None:
    first, second = (ends(rng=random.SystemRandom()).run() for _ in range(2))
    assert first.client.is_complete
    assert first.secrets != second.secrets


@pytest.mark.parametrize("piece_bytes", [1, 7, 200])
def test_data_in_any_pieces_is_put_together(piece_bytes: int) -> None:
    pair = ends()
    pair.client.start()
    for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client), (pair.client, pair.server)):
        while (piece := sender.poll_crypto()) is not None:
            level, data = piece
            for start in range(0, len(data), piece_bytes):
                receiver.handle_crypto(level, data[start : start + piece_bytes], 0)
    assert pair.client.is_complete
    assert pair.server.is_complete


def test_key_log_has_the_lines_of_both_directions() -> None:
    """NSS key log: label, client random, secret; both ends write the same."""
    lines: dict[bool, list[str]] = {True: [], False: []}
    done = ends(
        client=client_settings(key_log=lines[True].append), server=server_settings(key_log=lines[False].append)
    ).run()
    assert sorted(lines[True]) == sorted(lines[False])
    labels = {line.split()[0] for line in lines[True]}
    assert labels == {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
    }
    client_random = done.flights[0][2][6:38]
    assert all(line.split()[1] == client_random.hex() for line in lines[True])
    sent = {each.secret.hex() for each in done.secrets[True]}
    assert {line.split()[2] for line in lines[True]} == sent


def test_no_common_protocol_is_alert_120() -> None:
    with pytest.raises(QuicError, match="ALPN") as caught:
        ends(client=client_settings(alpn=("doq",))).run()
    assert caught.value.code == 0x178


def test_no_common_cipher_suite_is_a_handshake_failure() -> None:
    with pytest.raises(QuicError) as caught:
        ends(client=client_settings(cipher_suites=(0x1303,)), server=server_settings(cipher_suites=(0x1301,))).run()
    assert caught.value.code == 0x100 + 40


def test_chain_of_nine_certificates_passes() -> None:
    """More than 16 KB of CRYPTO data in one flight: the interop runner's amplificationlimit has such a chain."""
    pem, key = certificate()
    fillers = [
        make_self_signed([f"{'x' * 60}.{number}.{host}.test" for host in range(25)], random.Random(number), unix_ns=0)[
            0
        ]
        for number in range(8)
    ]
    done = ends(server=server_settings(certificate_chain=pem + b"".join(fillers), private_key=key)).run()
    assert done.client.is_complete
    assert max(len(data) for *_, data in done.flights) > 16_384


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"alpn": ()}, "ALPN"),
        ({"cipher_suites": (0x1305,)}, "0x1305"),
        ({"certificate_chain": b""}, "certificate"),
        ({"private_key": b"nonsense"}, "private key"),
        ({"certificate_chain": b"nonsense"}, "certificate"),
    ],
)
def test_server_without_what_it_needs_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(LocalError, match=reason):
        server_settings(**changes)


def test_client_that_verifies_needs_a_name() -> None:
    with pytest.raises(LocalError, match="name"):
        TlsSettings.of(Configuration(alpn=("h3",)), is_client=True, rng=random.Random(1))


def test_name_beyond_ascii_goes_as_idna() -> None:
    assert client_settings(server_name="bücher.test").server_name == "xn--bcher-kva.test"
