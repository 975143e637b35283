"""One connection as the judge sees it: its IDs, its keys, and what each packet holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from aioquic.quic.crypto import CryptoContext, CryptoError, CryptoPair, apply_key_phase, next_key_phase
from aioquic.tls import CipherSuite

from interop.quic.dissect.frames import CRYPTO, NEW_CONNECTION_ID, SeenFrame, UnreadableFrameError, read_frames
from interop.quic.dissect.hello import (
    CLIENT_HELLO,
    ENCRYPTED_EXTENSIONS,
    PREFERRED_ADDRESS,
    SERVER_HELLO,
    CryptoStream,
    chosen_suite,
    client_random,
    quic_parameters,
)
from interop.quic.dissect.key_log import APPLICATION, CLIENT_EARLY, HANDSHAKE, Secrets
from wire.quic.packet import KIND_HANDSHAKE, KIND_INITIAL, KIND_ONE_RTT, KIND_ZERO_RTT, Header


@dataclass(slots=True)
class SeenPacket:
    """A packet that an end sent.

    number, frames, phase: where it could be opened; trouble says why it, or one of its frames, could not.
    payload_bytes: behind the packet number, without the tag; of what could not be opened, behind the header.
    """

    header: Header
    is_from_client: bool
    number: int = -1
    phase: int = 0
    frames: list[SeenFrame] = field(default_factory=list)
    payload_bytes: int = 0
    trouble: str = ""

    @property
    def kind(self) -> int:
        """KIND_INITIAL and so on, of `wire.quic.packet`."""
        return self.header.kind

    def has(self, *kinds: int) -> bool:
        """Whether a frame of one of these types is in it."""
        return any(frame.kind in kinds for frame in self.frames)


class SeenConnection:
    """initial_cid: what the keys of Initial packets come from, of the first client packet, then of a Retry.
    cids: connection IDs of the client and of the server. crypto: by level's packet kind and whether from the client.
    """

    def __init__(self, version: int, initial_cid: bytes, logs: dict[bytes, Secrets]) -> None:
        self.version = version
        self.first_cid = initial_cid
        self.initial_cid = initial_cid
        self.cids: dict[bool, set[bytes]] = {True: set(), False: {initial_cid}}
        self.crypto: dict[tuple[int, bool], CryptoStream] = {}
        self.packets: list[SeenPacket] = []
        self._retry_cids: set[bytes] = set()
        self._logs = logs
        self._waiting: list[tuple[bytes, SeenPacket]] = []
        self._contexts: dict[tuple[int, bool, int], CryptoContext] = {}
        self._largest: dict[tuple[int, bool], int] = {}

    @property
    def suite(self) -> int | None:
        """Chosen by the server, if it is known."""
        hello = self.stream(KIND_INITIAL, is_from_client=False).message(SERVER_HELLO)
        return None if hello is None else chosen_suite(hello)

    def retried(self, source_cid: bytes) -> None:
        """A Retry was sent. Which of several the client follows shows in its next Initial packet."""
        self._retry_cids.add(source_cid)
        self.cids[False].add(source_cid)

    def stream(self, kind: int, *, is_from_client: bool) -> CryptoStream:
        """The CRYPTO data of a level."""
        return self.crypto.setdefault((kind, is_from_client), CryptoStream())

    def open(self, packet: bytes, seen: SeenPacket) -> None:
        """Open it, read its frames, and learn from them. packet: from its first to its last byte.

        What comes before the ServerHello that says how it is sealed waits for that.
        """
        self._open(packet, seen)
        if self._waiting and seen.kind == KIND_INITIAL and self.suite is not None:
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                self._open(*each)

    def _open(self, packet: bytes, seen: SeenPacket) -> None:
        header, is_from_client = seen.header, seen.is_from_client
        if header.destination_cid in self._retry_cids and header.kind == KIND_INITIAL:
            self.initial_cid = header.destination_cid
            self._retry_cids.clear()
            self._contexts.clear()
        offset = header.number_offset - header.start
        seen.payload_bytes = len(packet) - offset
        context = self._context(header, is_from_client)
        if context is None:
            seen.trouble = "no keys"
            if self.suite is None:
                self._waiting.append((packet, seen))
            return
        seen.trouble = ""
        space = (KIND_ONE_RTT if header.kind == KIND_ZERO_RTT else header.kind, is_from_client)
        try:
            plain, payload, number, is_updated = context.decrypt_packet(
                packet, offset, self._largest.get(space, -1) + 1
            )
        except CryptoError:
            seen.trouble = "does not open"
            return
        if is_updated:
            apply_key_phase(context, next_key_phase(context), trigger="seen")
        self._largest[space] = max(number, self._largest.get(space, -1))
        seen.number, seen.phase, seen.payload_bytes = number, plain[0] >> 2 & 1, len(payload)
        try:
            for frame in read_frames(payload):
                seen.frames.append(frame)
                self._learn(frame, seen)
        except UnreadableFrameError as error:
            seen.trouble = str(error)

    def _learn(self, frame: SeenFrame, seen: SeenPacket) -> None:
        if frame.kind == CRYPTO:
            stream = self.stream(seen.kind, is_from_client=seen.is_from_client)
            stream.add(frame.numbers[0], frame.data)
            if seen.kind == KIND_HANDSHAKE and not seen.is_from_client:
                self._learn_preferred(stream)
        elif frame.kind == NEW_CONNECTION_ID:
            self.cids[seen.is_from_client].add(frame.data[:-16])

    def _learn_preferred(self, stream: CryptoStream) -> None:
        extensions = stream.message(ENCRYPTED_EXTENSIONS)
        preferred = quic_parameters(extensions).get(PREFERRED_ADDRESS) if extensions else None
        if preferred:
            self.cids[False].add(preferred[25 : 25 + preferred[24]])

    def _context(self, header: Header, is_from_client: bool) -> CryptoContext | None:
        version = header.version if header.is_long else self.version
        if header.kind == KIND_HANDSHAKE:
            self.version = version
        key = (header.kind, is_from_client, version)
        context = self._contexts.get(key)
        if context is None:
            context = self._make(header.kind, is_from_client, version)
            if context is not None:
                self._contexts[key] = context
        return context

    def _make(self, kind: int, is_from_client: bool, version: int) -> CryptoContext | None:
        if kind == KIND_INITIAL:
            pair = CryptoPair()
            pair.setup_initial(cid=self.initial_cid, is_client=is_from_client, version=version)
            return pair.send
        hello = self.stream(KIND_INITIAL, is_from_client=True).message(CLIENT_HELLO)
        secrets = self._logs.get(client_random(hello), {}) if hello else {}
        labels = {KIND_HANDSHAKE: HANDSHAKE, KIND_ONE_RTT: APPLICATION}.get(kind, (CLIENT_EARLY, CLIENT_EARLY))
        secret, suite = secrets.get(labels[not is_from_client]), self.suite
        if secret is None or (suite is None and kind != KIND_ZERO_RTT):
            return None
        context = CryptoContext()
        # Early data comes before the server has chosen; a suite is as long as its secret but for ChaCha20.
        guess = CipherSuite.AES_256_GCM_SHA384 if len(secret) == 48 else CipherSuite.AES_128_GCM_SHA256
        context.setup(cipher_suite=guess if suite is None else CipherSuite(suite), secret=secret, version=version)
        return context
