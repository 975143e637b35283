"""Criteria say yes to what they demand and no, with the reason, to what lacks it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interop.outcome import DisagreementError
from interop.quic.criteria.common import handshakes, no_retry, version1
from interop.quic.criteria.handshake import (
    certificate_once,
    early_data,
    only_chacha,
    retry_used,
    several_client_hellos,
    stream_limit,
    version2_chosen,
)
from interop.quic.criteria.paths import fresh_ids, paths_validated, several_addresses
from interop.quic.criteria.transfer import amplification_bounded, both_phases, ecn_used, only_ipv6
from interop.quic.dissect.trace import Trace
from tests.interop.quic.session import Session, download


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    return download(tmp_path_factory.mktemp("plain")).trace()


@pytest.mark.parametrize("criterion", [handshakes(1), version1, no_retry, stream_limit])
def test_a_plain_download_fulfils(plain: Trace, criterion: Callable[[Trace], str]) -> None:
    assert criterion(plain)


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        (handshakes(2), "1 handshakes, not 2"),
        (several_client_hellos, "1 ClientHello"),
        (only_chacha, "offers 0x1302, 0x1301, 0x1303"),
        (retry_used, "no Retry"),
        (certificate_once, "1 handshakes"),
        (early_data, "no 0-RTT packets"),
        (version2_chosen, "server's Initial packets have version 0x1"),
        (paths_validated, "a single path"),
        (several_addresses, "a single address"),
        (fresh_ids, "a single path"),
        (both_phases, "none of phase 1"),
        (ecn_used, "the client marked none.*the server sent no ACK with ECN"),
        (only_ipv6, "over IPv4"),
        (amplification_bounded, "not 7500 at least"),
    ],
)
def test_a_plain_download_does_not_fulfil(plain: Trace, criterion: Callable[[Trace], str], words: str) -> None:
    with pytest.raises(DisagreementError, match=words):
        criterion(plain)


def test_key_phases_of_both_ends_are_seen(tmp_path: Path) -> None:
    assert "key phases 0 and 1" in both_phases(download(tmp_path, key_update=True).trace())


def test_version_2_is_seen_from_the_servers_first_packet(tmp_path: Path) -> None:
    trace = download(tmp_path, is_version2=True).trace()
    assert version2_chosen(trace)
    with pytest.raises(DisagreementError, match="0x6b3343cf"):
        version1(trace)


def test_marks_alone_are_not_enough_for_ecn(tmp_path: Path) -> None:
    with pytest.raises(DisagreementError) as caught:
        ecn_used(download(tmp_path, ecn=2).trace())
    assert "marked none" not in str(caught.value)
    assert "the client sent no ACK with ECN counts" in str(caught.value)


def test_a_mark_of_congestion_that_an_end_sent_is_told(tmp_path: Path) -> None:
    with pytest.raises(DisagreementError, match="datagrams with CE"):
        ecn_used(download(tmp_path, ecn=3).trace())


def test_a_new_path_is_challenged_and_the_challenge_answered(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.turn(3)
    session.client.change_connection_id()
    session.client_address = ("127.0.0.2", 50001)
    session.client.send_ping(1)
    session.turn(3)
    trace = session.trace()
    assert "2 paths" in paths_validated(trace)
    assert "2 addresses" in several_addresses(trace)
    assert "2 paths" in fresh_ids(trace)


def test_a_new_path_with_the_old_connection_id_is_told(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.turn(3)
    session.client_address = ("127.0.0.2", 50001)
    session.client.send_ping(1)
    session.turn(3)
    with pytest.raises(DisagreementError, match="connection ID of before"):
        fresh_ids(session.trace())


def test_a_challenge_without_an_answer_is_told(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.turn(3)
    session.client_address = ("127.0.0.2", 50001)
    session.client.send_ping(1)
    session.turn()
    with pytest.raises(DisagreementError, match="no PATH_RESPONSE"):
        paths_validated(session.trace())
