"""Tickets, resumption, and when 0-RTT is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stacks.quic.configuration import VERSION_1, VERSION_2
from stacks.quic.errors import QuicError, TransportErrorCode
from stacks.quic.levels import LEVEL_HANDSHAKE, LEVEL_ONE_RTT, LEVEL_ZERO_RTT
from stacks.quic.tls import StrikeRegister, Ticket, TlsSettings
from stacks.quic.tls.context import NewTicket, encode_new_ticket
from stacks.runtime.errors import LocalError
from tests.stacks.quic.tls.rig import (
    PARAMETERS,
    SECOND,
    Ends,
    client_settings,
    ends,
    keeper,
    server_settings,
    ticket_of,
)

LATER = 5 * SECOND


@pytest.fixture
def server() -> TlsSettings:
    return server_settings()


def _again(server: TlsSettings, ticket: Ticket, *, now: int = LATER, **changes: object) -> Ends:
    return ends(server=server, ticket=ticket, now=now, **changes).run(now=now)  # type: ignore[arg-type]


def _outcome(run: Ends) -> tuple[bool, bool]:
    """(resumed, early data accepted), on which both ends must agree."""
    assert run.client.is_complete
    assert run.server.is_complete
    assert run.client.is_resumed == run.server.is_resumed
    assert run.client.is_early_data_accepted == run.server.is_early_data_accepted
    return run.client.is_resumed, run.client.is_early_data_accepted


def test_ticket_resumes_without_a_certificate_and_with_early_data(server: TlsSettings) -> None:
    run = _again(server, ticket_of(server))
    assert _outcome(run) == (True, True)
    assert run.client.is_early_data_offered
    first = [each for each in run.secrets[True] if each.level == LEVEL_ZERO_RTT]
    second = [each for each in run.secrets[False] if each.level == LEVEL_ZERO_RTT]
    assert [each.secret for each in first] == [each.secret for each in second]
    assert first[0].is_sending
    assert not second[0].is_sending
    handshake = [data for is_client, level, data in run.flights if not is_client and level == LEVEL_HANDSHAKE]
    assert len(handshake[0]) < 200


def test_each_connection_brings_a_ticket_that_works(server: TlsSettings) -> None:
    ticket = ticket_of(server)
    for number in range(1, 4):
        run = _again(server, ticket, now=number * SECOND)
        assert _outcome(run) == (True, True)
        new = run.client.poll_ticket()
        assert new is not None
        assert new != ticket
        ticket = new


def test_ticket_survives_a_file(server: TlsSettings) -> None:
    ticket = ticket_of(server)
    assert Ticket.from_bytes(ticket.to_bytes()) == ticket
    for damaged in (b"", b"nonsense", ticket.to_bytes()[:-1], ticket.to_bytes() + b"x"):
        with pytest.raises(LocalError, match="ticket"):
            Ticket.from_bytes(damaged)


def test_remembered_parameters_leave_out_what_rfc_9000_forbids(server: TlsSettings) -> None:
    """RFC 9000 7.4.1."""
    sent = replace(PARAMETERS, ack_delay_exponent=7, max_ack_delay_ms=33, stateless_reset_token=bytes(16))
    run = _again(server, ticket_of(server, server_parameters=sent))
    remembered = run.client.remembered
    assert remembered is not None
    assert remembered.initial_max_data == PARAMETERS.initial_max_data
    assert remembered.max_idle_timeout_ms == PARAMETERS.max_idle_timeout_ms
    assert (remembered.ack_delay_exponent, remembered.max_ack_delay_ms) == (3, 25)
    assert remembered.stateless_reset_token is None
    assert remembered.initial_source_connection_id is None


@pytest.mark.parametrize(
    "changes",
    [
        {"version": VERSION_2},
        {"client": client_settings(server_name="192.0.2.7")},
        {"client": client_settings(cipher_suites=(0x1302,))},
        {"now": 86_400 * SECOND + 1},
    ],
    ids=["version", "server name", "cipher suite", "expired"],
)
def test_ticket_that_does_not_fit_is_not_offered(server: TlsSettings, changes: dict[str, object]) -> None:
    run = _again(server, ticket_of(server), **changes)  # type: ignore[arg-type]
    assert _outcome(run) == (False, False)
    assert not run.client.is_early_data_offered


def test_ticket_of_an_unverified_session_is_no_way_around_verification(server: TlsSettings) -> None:
    careless = client_settings(is_verifying=False)
    ticket = ticket_of(server, client=careless)
    assert not ticket.is_verified
    assert _outcome(_again(server, ticket)) == (False, False)
    assert _outcome(_again(server, ticket, client=careless)) == (True, True)
    assert ticket_of(server).is_verified


@pytest.mark.parametrize("field", ["version", "server_name"])
def test_server_takes_no_ticket_of_another_version_or_name(server: TlsSettings, field: str) -> None:
    """RFC 9369 5; a client that offers it all the same gets a full handshake."""
    ticket = ticket_of(server)
    if field == "version":
        run = _again(server, replace(ticket, version=VERSION_2), version=VERSION_2)
    else:
        run = _again(server, replace(ticket, server_name="192.0.2.7"), client=client_settings(server_name="192.0.2.7"))
    assert run.client.is_early_data_offered
    assert _outcome(run) == (False, False)


def test_ticket_of_another_key_leads_to_a_full_handshake(server: TlsSettings) -> None:
    assert _outcome(_again(replace(server, tickets=keeper()), ticket_of(server))) == (False, False)


def test_early_data_is_not_offered_where_either_side_does_not_want_it(server: TlsSettings) -> None:
    without = server_settings(has_early_data=False)
    assert _outcome(_again(without, ticket_of(without))) == (True, False)
    run = _again(server, ticket_of(server), client=client_settings(has_early_data=False))
    assert _outcome(run) == (True, False)
    assert not run.client.is_early_data_offered


def test_server_that_turned_early_data_off_resumes_and_rejects_it(server: TlsSettings) -> None:
    run = _again(replace(server, has_early_data=False), ticket_of(server))
    assert _outcome(run) == (True, False)
    assert run.client.is_early_data_offered
    assert not [each for each in run.secrets[False] if each.level == LEVEL_ZERO_RTT]


def test_early_data_for_another_protocol_is_rejected(server: TlsSettings) -> None:
    """RFC 8446 4.2.10."""
    run = _again(replace(server, alpn=("hq", "h3")), ticket_of(server), client=client_settings(alpn=("h3", "hq")))
    assert run.client.alpn == "hq"
    assert _outcome(run) == (True, False)


@pytest.mark.parametrize(
    "name",
    [
        "active_connection_id_limit",
        "initial_max_data",
        "initial_max_stream_data_bidi_remote",
        "initial_max_streams_bidi",
    ],
)
def test_early_data_is_rejected_where_a_limit_shrank(server: TlsSettings, name: str) -> None:
    """RFC 9000 7.4.1."""
    generous = replace(PARAMETERS, **{name: getattr(PARAMETERS, name) + 1})
    ticket = ticket_of(server, server_parameters=generous)
    assert _outcome(_again(server, ticket)) == (True, False)
    assert _outcome(_again(server, ticket, server_parameters=generous)) == (True, True)


def test_client_refuses_a_server_that_accepts_and_lowers(server: TlsSettings) -> None:
    generous = replace(PARAMETERS, initial_max_data=1 << 30)
    ticket = ticket_of(server)
    lying = replace(ticket, parameters=ticket_of(server, server_parameters=generous).parameters)
    with pytest.raises(QuicError, match="lowers initial_max_data") as caught:
        _again(server, lying)
    assert caught.value.code == TransportErrorCode.PROTOCOL_VIOLATION


def test_early_data_is_rejected_where_another_version_is_negotiated(server: TlsSettings) -> None:
    pair = ends(server=server, ticket=ticket_of(server), now=LATER)
    wished = pair.server

    def choose(is_client: bool, level: int, data: bytes) -> bytes:
        wished.version = VERSION_2
        return data

    assert _outcome(pair.run(now=LATER, change=choose)) == (True, False)


def test_ticket_carries_the_negotiated_version(server: TlsSettings) -> None:
    pair = ends(server=server)
    pair.client.version = pair.server.version = VERSION_2
    ticket = pair.run().client.poll_ticket()
    assert ticket is not None
    assert ticket.version == VERSION_2
    assert _outcome(_again(server, ticket, version=VERSION_2)) == (True, True)


def test_second_use_of_a_ticket_has_no_early_data(server: TlsSettings) -> None:
    ticket = ticket_of(server)
    assert _outcome(_again(server, ticket)) == (True, True)
    assert _outcome(_again(server, ticket)) == (True, False)


def test_replayed_first_flight_is_never_accepted_twice(server: TlsSettings) -> None:
    """RFC 8446 8.2, 8.3: whenever the copy arrives."""
    ticket = ticket_of(server)
    original = ends(server=server, ticket=ticket, now=LATER)
    original.client.start()
    level, flight = original.client.poll_crypto() or (0, b"")
    original.server.handle_crypto(level, flight, LATER)
    assert _accepts(original)
    for delay_s in (0, 1, 9, 10, 11, 19, 20, 21, 40, 3600):
        copy = ends(server=server, now=LATER + delay_s * SECOND)
        copy.server.handle_crypto(level, flight, LATER + delay_s * SECOND)
        assert not _accepts(copy), delay_s


def _accepts(run: Ends) -> bool:
    return run.server.is_early_data_accepted


def test_stale_first_flight_is_not_accepted_even_once(server: TlsSettings) -> None:
    ticket = ticket_of(server)
    held = ends(server=server, ticket=ticket, now=LATER)
    held.client.start()
    level, flight = held.client.poll_crypto() or (0, b"")
    held.server.handle_crypto(level, flight, LATER + 11 * SECOND)
    assert not _accepts(held)


def test_strike_register_is_bounded_and_refuses_when_full() -> None:
    register = StrikeRegister(capacity=3)

    def accept(number: int, at_ns: int) -> bool:
        return register.accept(bytes([number]), stated_age_ns=0, true_age_ns=0, unix_ns=at_ns)

    assert [accept(number, 0) for number in range(5)] == [True, True, True, False, False]
    assert (len(register), register.accepted, register.refused_full) == (3, 3, 2)
    assert accept(9, 20 * SECOND + 1)
    assert len(register) == 1


def test_register_of_a_process_that_has_just_started_waits() -> None:
    register = StrikeRegister(started_unix_ns=100 * SECOND)
    assert not register.accept(b"a", stated_age_ns=0, true_age_ns=0, unix_ns=119 * SECOND)
    assert register.accept(b"a", stated_age_ns=0, true_age_ns=0, unix_ns=120 * SECOND)


def test_ticket_for_a_wrong_amount_of_early_data_is_a_violation() -> None:
    """RFC 9001 4.6.1: 0xffffffff or none."""
    message = encode_new_ticket(
        NewTicket(lifetime_seconds=9, age_add=1, nonce=b"", identity=b"i", early_data_size=16384)
    )
    with pytest.raises(QuicError) as caught:
        ends().run().client.handle_crypto(LEVEL_ONE_RTT, message, 0)
    assert caught.value.code == TransportErrorCode.PROTOCOL_VIOLATION


def test_ticket_lives_no_longer_than_seven_days_and_not_at_all_with_lifetime_zero() -> None:
    """RFC 8446 4.6.1."""
    run = ends().run()
    assert run.client.poll_ticket() is not None
    for seconds in (0, 0xFFFFFFFF):
        message = encode_new_ticket(
            NewTicket(lifetime_seconds=seconds, age_add=1, nonce=b"n", identity=b"i", early_data_size=None)
        )
        run.client.handle_crypto(LEVEL_ONE_RTT, message, 0)
    ticket = run.client.poll_ticket()
    assert ticket is not None
    assert ticket.lifetime_ns == 7 * 86_400 * SECOND
    assert not ticket.has_early_data
    assert run.client.poll_ticket() is None


def test_flood_of_tickets_is_bounded() -> None:
    run = ends().run()
    message = encode_new_ticket(
        NewTicket(lifetime_seconds=9, age_add=1, nonce=b"n", identity=b"i", early_data_size=None)
    )
    for _ in range(1000):
        run.client.handle_crypto(LEVEL_ONE_RTT, message, 0)
    assert sum(1 for _ in iter(run.client.poll_ticket, None)) <= 16


def test_version_one_is_the_default_of_the_rig(server: TlsSettings) -> None:
    assert ticket_of(server).version == VERSION_1
