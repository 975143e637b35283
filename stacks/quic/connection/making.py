"""How a connection begins, at a client and at a server: its identifiers, parameters, TLS and first keys."""

from __future__ import annotations

import random

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


def connect(
    configuration: Configuration,
    *,
    local: Address,
    remote: Address,
    rng: random.Random,
    now: int,
    pool: BufferPool,
    reset_key: bytes,
    settings: TlsSettings,
    ticket: Ticket | None,
    token: bytes,
    tracer: Tracer | None,
) -> Connection:
    """A client's connection, with its first flight ready to be sent."""
    source_cid = random_bytes(rng, configuration.connection_id_bytes)
    destination_cid = random_bytes(rng, FIRST_DESTINATION_CID_BYTES)
    version = configuration.initial_version if ticket is None else ticket.version
    parts = _parts(
        configuration,
        is_client=True,
        version=version,
        source_cid=source_cid,
        destination_cid=destination_cid,
        original_destination_cid=destination_cid,
        local=local,
        remote=remote,
        rng=rng,
        now=now,
        reset_key=reset_key,
        tracer=tracer,
    )
    parts.token = token
    own = own_parameters(configuration, source_cid=source_cid, version=version, rng=rng)
    parts.own_parameters = own
    if tracer is not None:
        tracer.parameters_set(now, is_local=True, parameters=own)
    tls = Tls(settings, is_client=True, rng=rng, now=now, version=version, parameters=own.encode(), ticket=ticket)
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
    if tls.is_early_data_offered and tls.remembered is not None:
        parts.streams.apply_peer_parameters(tls.remembered)
        parts.datagrams.apply_peer_parameters(tls.remembered)
        if tracer is not None:
            tracer.parameters_restored(now, tls.remembered)
    connection = Connection(parts, handshake, versions, pool)
    connection.started(now)
    return connection


def accept(
    configuration: Configuration,
    *,
    header: Header,
    local: Address,
    remote: Address,
    rng: random.Random,
    now: int,
    pool: BufferPool,
    reset_key: bytes,
    tokens: TokenKeeper,
    settings: TlsSettings,
    token: Token | None,
    tracer: Tracer | None,
) -> Connection:
    """A server's connection for a client's first Initial packet, which is handled afterwards.

    token: that the packet carried, if it is good: the address is validated then (RFC 9000 8.1).
    """
    source_cid = random_bytes(rng, configuration.connection_id_bytes)
    is_retried = token is not None and token.is_retry
    original = token.original_destination_cid if token is not None and is_retried else header.destination_cid
    parts = _parts(
        configuration,
        is_client=False,
        version=header.version,
        source_cid=source_cid,
        destination_cid=header.source_cid,
        original_destination_cid=original,
        local=local,
        remote=remote,
        rng=rng,
        now=now,
        reset_key=reset_key,
        tracer=tracer,
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
        own.stateless_reset_token = reset_token(reset_key, source_cid)
        if configuration.preferred_addresses:
            own.preferred_address = _preferred_address(configuration, parts)
        parts.own_parameters = own
        return own.encode()

    tls = Tls(settings, is_client=False, rng=rng, now=now, version=header.version, parameters_for=answer)
    handshake = Handshake(parts, tls)
    versions = VersionSwitch(parts, handshake)

    def new_token(at: int) -> bytes:
        return tokens.seal_new_token(parts.paths.active.remote, version=parts.version, now=at, rng=rng)

    def say_token(_: Path, at: int) -> None:
        parts.control.say("new_token", NewToken(new_token(at)).encode())  # 9.3: the former one is for another address

    handshake.new_token = new_token
    parts.paths.on_validated = say_token
    handshake.derive_initial_keys(header.destination_cid, now)
    connection = Connection(parts, handshake, versions, pool)
    connection.started(now)
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
    configuration: Configuration,
    *,
    is_client: bool,
    version: int,
    source_cid: bytes,
    destination_cid: bytes,
    original_destination_cid: bytes,
    local: Address,
    remote: Address,
    rng: random.Random,
    now: int,
    reset_key: bytes,
    tracer: Tracer | None,
) -> Parts:
    hosts = [remote[0]]  # of the first path: others begin with nothing known

    def congestion(at: int) -> PathCongestion:
        return PathCongestion(configuration, rng, now=at, remote=hosts.pop() if hosts else "")

    local_ids = LocalConnectionIds(configuration, source_cid, rng=rng, reset_key=reset_key)
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
