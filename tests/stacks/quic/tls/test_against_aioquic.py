"""Our ends against the library's own context as a peer: full handshakes, tickets of either, 0-RTT."""

from __future__ import annotations

import pytest
from aioquic import tls

from stacks.quic.errors import QuicError
from stacks.quic.levels import LEVEL_INITIAL, LEVEL_ZERO_RTT
from stacks.quic.tls import Ticket, Tls, TlsSettings
from tests.stacks.quic.tls.bare import BareClient, BarePeer, BareServer
from tests.stacks.quic.tls.rig import PARAMETERS, SECOND, certificate, client_settings, ends, server_settings

EXTENSIONS = [(0x39, PARAMETERS.encode())]


def _run(ours: Tls, peer: BarePeer, *, now: int = 0) -> None:
    moved = True
    while moved:
        moved = False
        while (piece := ours.poll_crypto()) is not None:
            for level, data in peer.receive(piece[1]):
                ours.handle_crypto(level, data, now)
            moved = True


def _connect(server: BareServer, *, ticket: Ticket | None = None, now: int = 0) -> Tls:
    client = ends(ticket=ticket, now=now).client
    client.start()
    _run(client, server, now=now)
    assert client.is_complete
    assert server.context.state is tls.State.SERVER_POST_HANDSHAKE
    return client


def _accept(client: BareClient, settings: TlsSettings, *, now: int = 0) -> Tls:
    server = ends(server=settings, now=now).server
    ((_, hello),) = client.receive(b"")
    server.handle_crypto(LEVEL_INITIAL, hello, now)
    _run(server, client, now=now)
    assert server.is_complete
    assert client.context.state is tls.State.CLIENT_POST_HANDSHAKE
    return server


def _shared(ours: Tls, peer: BarePeer) -> bool:
    mine = {(each.is_sending, each.level, each.secret) for each in iter(ours.poll_secret, None)}
    return mine == {(not is_sending, level, secret) for is_sending, level, secret in peer.secrets}


def test_our_client_resumes_with_early_data_at_the_library() -> None:
    tickets: dict[bytes, tls.SessionTicket] = {}
    client = _connect(BareServer(extensions=EXTENSIONS, tickets=tickets))
    ticket = client.poll_ticket()
    assert ticket is not None
    assert ticket.has_early_data
    assert ticket.lifetime_ns == 86_400 * SECOND
    peer = BareServer(extensions=EXTENSIONS, tickets=tickets)
    again = _connect(peer, ticket=ticket, now=SECOND)
    assert again.is_resumed
    assert again.is_early_data_accepted
    assert _shared(again, peer)


def test_library_resumes_with_early_data_at_our_server() -> None:
    settings = server_settings()
    first = BareClient(extensions=EXTENSIONS)
    _accept(first, settings)
    (ticket,) = first.tickets
    assert ticket.max_early_data_size == 0xFFFFFFFF
    peer = BareClient(extensions=EXTENSIONS, ticket=ticket)
    again = _accept(peer, settings)
    assert again.is_resumed
    assert again.is_early_data_accepted
    assert peer.context.early_data_accepted
    assert LEVEL_ZERO_RTT in {level for _, level, _ in peer.secrets}
    assert _shared(again, peer)


def test_library_is_told_when_early_data_is_rejected() -> None:
    settings = server_settings()
    first = BareClient(extensions=EXTENSIONS)
    _accept(first, settings)
    for expected in (True, False):
        peer = BareClient(extensions=EXTENSIONS, ticket=first.tickets[0])
        again = _accept(peer, settings)
        assert again.is_resumed
        assert again.is_early_data_accepted == peer.context.early_data_accepted == expected


def test_client_that_cannot_resume_gets_no_ticket() -> None:
    """RFC 8446 4.2.9: without psk_key_exchange_modes no ticket is of use."""
    peer = BareClient(extensions=EXTENSIONS)
    peer.context.new_session_ticket_cb = None
    server = _accept(peer, server_settings())
    assert server.poll_crypto() is None


def test_early_data_accepted_without_being_offered_is_refused() -> None:
    """RFC 8446 4.2: an extension that answers nothing is unsupported_extension."""
    server = BareServer(extensions=EXTENSIONS)
    server.context.early_data_accepted = True
    client = ends().client
    client.start()
    with pytest.raises(QuicError, match="not offered") as caught:
        _run(client, server)
    assert caught.value.code == 0x100 + 110


@pytest.mark.parametrize("has_certificate", [False, True])
def test_server_that_asks_for_a_certificate_gets_ours_or_none(has_certificate: bool) -> None:
    """RFC 8446 4.4.2: an empty Certificate where there is none."""
    chain, key = certificate()
    own = {"certificate_chain": chain, "private_key": key} if has_certificate else {}
    server = BareServer(extensions=EXTENSIONS)
    server.context._request_client_certificate = True  # noqa: SLF001 - the library's own tests do so
    client = ends(client=client_settings(**own)).client
    client.start()
    _run(client, server)
    assert client.is_complete
    assert server.context.state is tls.State.SERVER_POST_HANDSHAKE
    assert (server.context._peer_certificate is not None) == has_certificate  # noqa: SLF001
    assert _shared(client, server)
