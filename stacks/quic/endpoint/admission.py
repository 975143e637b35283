"""What a server does with a client's first packet: accept, Retry, Version Negotiation, or nothing (RFC 9000 5.2.2)."""

from __future__ import annotations

import random

from stacks.quic.configuration import Configuration
from stacks.quic.connection import Beginning, Connection, accept
from stacks.quic.connection.buffers import BufferPool
from stacks.quic.connection.counters import EndpointCounters
from stacks.quic.errors import TransportErrorCode
from stacks.quic.keys import initial_keys, retry_tag
from stacks.quic.paths import TokenKeeper
from stacks.quic.randomness import random_bytes
from stacks.quic.tls import TlsSettings
from stacks.quic.tracing import Tracer
from transports.datagram import Burst, Transmit
from wire.quic.frames import ConnectionClose
from wire.quic.packet import (
    KIND_INITIAL,
    Header,
    encode_long_header,
    encode_retry,
    encode_version_negotiation,
    write_length,
)


class Admission:
    """The front door of a server. key: of its tokens and stateless resets."""

    def __init__(
        self,
        configuration: Configuration,
        rng: random.Random,
        counters: EndpointCounters,
        pool: BufferPool,
        key: bytes,
    ) -> None:
        self.tokens = TokenKeeper(key)
        self.settings = TlsSettings.of(configuration, is_client=False, rng=rng)
        self._configuration = configuration
        self._rng = rng
        self._counters = counters
        self._pool = pool
        self._key = key

    def admit(
        self, datagram: memoryview, header: Header, burst: Burst, now: int, *, is_full: bool, tracer: Tracer | None
    ) -> Connection | Transmit | None:
        """A connection for the packet, an answer without one, or nothing.

        Whether the packet is genuine shows when the connection handles it.
        """
        configuration = self._configuration
        if len(datagram) < MIN_INITIAL_BYTES:
            self._counters.dropped_short += 1  # 14.1, 6.1
            return None
        if header.version not in configuration.versions:
            return self._negotiate(header, burst)
        if header.kind != KIND_INITIAL or len(header.destination_cid) < MIN_DESTINATION_CID_BYTES:
            self._counters.dropped_unknown += 1
            return None
        token = self.tokens.open(header.token, burst.source, version=header.version, now=now) if header.token else None
        if token is not None and token.is_retry and token.retry_source_cid != header.destination_cid:
            token = None
        if header.token and token is None and self.tokens.is_retry_token(header.token):
            self._counters.invalid_tokens += 1  # 8.1.3: only INVALID_TOKEN helps a client that followed a Retry
            return self._refuse(header, burst, TransportErrorCode.INVALID_TOKEN)
        if is_full:
            self._counters.connections_refused += 1
            return self._refuse(header, burst, TransportErrorCode.CONNECTION_REFUSED)
        if configuration.is_retrying and token is None:
            return self._retry(header, burst, now)
        beginning = Beginning(
            configuration=configuration,
            settings=self.settings,
            local=burst.destination,
            remote=burst.source,
            rng=self._rng,
            now=now,
            pool=self._pool,
            reset_key=self._key,
            tracer=tracer,
        )
        return accept(beginning, header=header, tokens=self.tokens, token=token)

    def _negotiate(self, header: Header, burst: Burst) -> Transmit | None:
        if header.version == 0:
            self._counters.dropped_unknown += 1  # 6.1: never an answer to Version Negotiation
            return None
        self._counters.version_negotiations_sent += 1
        versions = self._configuration.versions
        if self._configuration.grease:
            nibble = int(self._rng.random() * 16)
            versions = (*versions, GREASE_VERSION | nibble * 0x10101010)
        first = int(self._rng.random() * 128)
        packet = encode_version_negotiation(header.source_cid, header.destination_cid, versions, first)
        return Transmit([packet], 0, burst.destination, burst.source)

    def _retry(self, header: Header, burst: Burst, now: int) -> Transmit:
        """17.2.5: a new connection ID of ours, and a token that says which the client's first was."""
        self._counters.retries_sent += 1
        source_cid = random_bytes(self._rng, self._configuration.connection_id_bytes)
        token = self.tokens.seal_retry(
            burst.source, header.destination_cid, source_cid, version=header.version, now=now, rng=self._rng
        )
        packet = encode_retry(header.version, header.source_cid, source_cid, token, int(self._rng.random() * 16))
        tag = retry_tag(header.version, header.destination_cid, packet)
        return Transmit([packet + tag], 0, burst.destination, burst.source)

    def _refuse(self, header: Header, burst: Burst, code: int) -> Transmit:
        """A CONNECTION_CLOSE in an Initial packet, without any state (5.2.2)."""
        buffer = bytearray(256)
        sealer, _ = initial_keys(header.version, header.destination_cid, is_client=False)
        length_offset, number_offset = encode_long_header(
            buffer, 0, KIND_INITIAL, header.version, header.source_cid, header.destination_cid, b"", 1
        )
        buffer[number_offset] = 0
        frame = ConnectionClose(code, b"").encode()
        end = number_offset + 1 + len(frame)
        buffer[number_offset + 1 : end] = frame
        end += TAG_BYTES
        write_length(buffer, length_offset, end - number_offset)
        sealer.seal(memoryview(buffer), [(0, number_offset, 1, 0, end)])
        return Transmit([memoryview(buffer)[:end]], 0, burst.destination, burst.source)


MIN_INITIAL_BYTES = 1200
MIN_DESTINATION_CID_BYTES = 8
TAG_BYTES = 16
GREASE_VERSION = 0x0A0A0A0A
