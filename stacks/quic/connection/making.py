"""How a connection begins, at a client and at a server: its identifiers, parameters, TLS and first keys."""

from __future__ import annotations

import random
from dataclasses import dataclass

from stacks.quic.configuration import Configuration
from stacks.quic.connection.buffers import BufferPool
from stacks.quic.connection.connection import Connection
from stacks.quic.connection.handshake import Handshake
from stacks.quic.connection.own_parameters import own_parameters
from stacks.quic.connection.parts import Parts
from stacks.quic.connection.versions import VersionSwitch
from stacks.quic.paths import LocalConnectionIds, Path, Paths, PeerConnectionIds, Token, TokenKeeper, reset_token
from stacks.quic.randomness import random_bytes
from stacks.quic.recovery import PathCongestion
from stacks.quic.tls import Ticket, Tls, TlsSettings, check_parameters
from stacks.quic.tracing import Tracer
from transports.datagram import Address
from wire.quic.frames import NewToken
from wire.quic.packet import Header
from wire.quic.parameters import PreferredAddress, TransportParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What an endpoint gives to a connection that begins.

    settings: of TLS, shared by all with that configuration. pool: of buffers, shared by all. reset_key: of stateless
    resets, the endpoint's.
    """

    configuration: Configuration
    settings: TlsSettings
    local: Address
    remote: Address
    rng: random.Random
    now: int
    pool: BufferPool
    reset_key: bytes
    tracer: Tracer | None


def connect(beginning: Beginning, *, ticket: Ticket | None, token: bytes) -> Connection:
    """A client's connection, with its first flight ready to be sent."""
    configuration, rng, now, tracer = beginning.configuration, beginning.rng, beginning.now, beginning.tracer
    source_cid = random_bytes(rng, configuration.connection_id_bytes)
    destination_cid = random_bytes(rng, FIRST_DESTINATION_CID_BYTES)
    version = configuration.initial_version if ticket is None else ticket.version
    parts = _parts(
        beginning,
        is_client=True,
        version=version,
        source_cid=source_cid,
        destination_cid=destination_cid,
        original_destination_cid=destination_cid,
    )
    parts.token = token
    own = own_parameters(configuration, source_cid=source_cid, version=version, rng=rng)
    parts.own_parameters = own
    if tracer is not None:
        tracer.parameters_set(now, is_local=True, parameters=own)
    tls = Tls(
        beginning.settings,
        is_client=True,
        rng=rng,
        now=now,
        version=version,
        parameters=own.encode(),
        ticket=ticket,
    )
    handshake = Handshake(parts, tls)
    versions = VersionSwitch(parts, handshake)

    def check(peer: TransportParameters) -> None:
        check_parameters(
            peer,
            is_client=True,
            original_destination_cid=destination_cid,
            source_cid=parts.peer_ids.handshake_cid,
            retry_source_cid=versions.retry_source_cid,
        )
        versions.check(peer)

    handshake.check = check
    handshake.derive_initial_keys(destination_cid, now)
    handshake.start(now)
    _restore(parts, tls, now)
    return _made(beginning, parts, handshake, versions)


def accept(beginning: Beginning, *, header: Header, tokens: TokenKeeper, token: Token | None) -> Connection:
    """A server's connection for a client's first Initial packet, which is handled afterwards.

    token: that the packet carried, if it is good: the address is validated then (RFC 9000 8.1).
    """
    configuration, rng, now = beginning.configuration, beginning.rng, beginning.now
    source_cid = random_bytes(rng, configuration.connection_id_bytes)
    is_retried = token is not None and token.is_retry
    original = token.original_destination_cid if token is not None and is_retried else header.destination_cid
    parts = _parts(
        beginning,
        is_client=False,
        version=header.version,
        source_cid=source_cid,
        destination_cid=header.source_cid,
        original_destination_cid=original,
    )
    parts.local_ids.add_original(header.destination_cid)
    parts.paths.active.is_validated = token is not None
    versions: VersionSwitch

    def answer(peer: TransportParameters) -> bytes:
        check_parameters(
            peer, is_client=False, original_destination_cid=b"", source_cid=header.source_cid, retry_source_cid=None
        )
        versions.choose(peer)
        own = own_parameters(configuration, source_cid=source_cid, version=parts.version, rng=rng)
        own.original_destination_connection_id = original
        if is_retried:
            own.retry_source_connection_id = header.destination_cid
        own.stateless_reset_token = reset_token(beginning.reset_key, source_cid)
        if configuration.preferred_addresses:
            own.preferred_address = _preferred_address(configuration, parts)
        parts.own_parameters = own
        return own.encode()

    tls = Tls(beginning.settings, is_client=False, rng=rng, now=now, version=header.version, parameters_for=answer)
    handshake = Handshake(parts, tls)
    versions = VersionSwitch(parts, handshake)
    _give_tokens(parts, handshake, tokens)
    handshake.derive_initial_keys(header.destination_cid, now)
    return _made(beginning, parts, handshake, versions)


def _restore(parts: Parts, tls: Tls, now: int) -> None:
    """For 0-RTT: the server's parameters as they are remembered (RFC 9000 7.4.1)."""
    if tls.is_early_data_offered and tls.remembered is not None:
        parts.streams.apply_peer_parameters(tls.remembered)
        parts.datagrams.apply_peer_parameters(tls.remembered)
        if parts.tracer is not None:
            parts.tracer.parameters_restored(now, tls.remembered)


def _give_tokens(parts: Parts, handshake: Handshake, tokens: TokenKeeper) -> None:
    """NEW_TOKEN when the handshake is done, and for each address that is validated later (RFC 9000 8.1.3, 9.3)."""

    def new_token(at: int) -> bytes:
        return tokens.seal_new_token(parts.paths.active.remote, version=parts.version, now=at, rng=parts.rng)

    def say_token(_: Path, at: int) -> None:
        parts.control.say("new_token", NewToken(new_token(at)).encode())  # the former one is for another address

    handshake.new_token = new_token
    parts.paths.on_validated = say_token


def _made(beginning: Beginning, parts: Parts, handshake: Handshake, versions: VersionSwitch) -> Connection:
    connection = Connection(parts, handshake, versions, beginning.pool)
    connection.started(beginning.now)
    return connection


def _preferred_address(configuration: Configuration, parts: Parts) -> PreferredAddress:
    """Where clients should go (RFC 9000 9.6), with the connection ID for it."""
    connection_id, token = parts.local_ids.issue_preferred()
    addresses = configuration.preferred_addresses
    return PreferredAddress(
        next((address for address in addresses if ":" not in address[0]), None),
        next((address for address in addresses if ":" in address[0]), None),
        connection_id,
        token,
    )


def _parts(
    beginning: Beginning,
    *,
    is_client: bool,
    version: int,
    source_cid: bytes,
    destination_cid: bytes,
    original_destination_cid: bytes,
) -> Parts:
    configuration, rng, now, tracer = beginning.configuration, beginning.rng, beginning.now, beginning.tracer
    local, remote = beginning.local, beginning.remote
    hosts = [remote[0]]  # of the first path: others begin with nothing known

    def congestion(at: int) -> PathCongestion:
        return PathCongestion(configuration, rng, now=at, remote=hosts.pop() if hosts else "")

    local_ids = LocalConnectionIds(configuration, source_cid, rng=rng, reset_key=beginning.reset_key)
    peer_ids = PeerConnectionIds(configuration, destination_cid, remote, is_client=is_client)
    paths = Paths(
        configuration,
        is_client=is_client,
        local=local,
        remote=remote,
        peer_ids=peer_ids,
        rng=rng,
        make_congestion=congestion,
        now=now,
    )
    parts = Parts(
        configuration,
        is_client=is_client,
        version=version,
        rng=rng,
        now=now,
        paths=paths,
        local_ids=local_ids,
        peer_ids=peer_ids,
        tracer=tracer,
    )
    paths.events = parts.events
    paths.on_change = lambda path, _: parts.recovery.change_path(path.congestion)
    if tracer is not None:
        tracer.connection_started(
            now,
            local=local,
            remote=remote,
            source_cid=source_cid,
            destination_cid=destination_cid,
            original_destination_cid=original_destination_cid,
        )
        spoken = configuration.versions
        if is_client:
            tracer.version_information(now, chosen=version, client=spoken)
        else:
            tracer.version_information(now, chosen=version, server=spoken)
    return parts


FIRST_DESTINATION_CID_BYTES = 8
