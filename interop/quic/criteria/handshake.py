"""What is demanded of handshakes: ClientHellos, Retry, resumption, early data, version 2."""

from __future__ import annotations

from interop.outcome import DisagreementError
from interop.quic.dissect.frames import CRYPTO
from interop.quic.dissect.hello import (
    CERTIFICATE,
    CLIENT_HELLO,
    ENCRYPTED_EXTENSIONS,
    INITIAL_MAX_STREAMS_BIDI,
    offered_suites,
    parameter_number,
    quic_parameters,
)
from interop.quic.dissect.trace import Trace
from wire.quic.packet import (
    KIND_HANDSHAKE,
    KIND_INITIAL,
    KIND_ONE_RTT,
    KIND_RETRY,
    KIND_ZERO_RTT,
    RETRY_TAG_BYTES,
    VERSION_1,
    VERSION_2,
)


def several_client_hellos(trace: Trace) -> str:
    """The beginning of the ClientHello was sent twice at least."""
    starts = [
        frame
        for packet in trace.packets(KIND_INITIAL, is_from_client=True)
        for frame in packet.frames
        if frame.kind == CRYPTO and frame.numbers[0] == 0
    ]
    if len(starts) < 2:
        raise DisagreementError(f"{len(starts)} ClientHello, not 2 at least")
    return f"{len(starts)} ClientHellos"


def only_chacha(trace: Trace) -> str:
    """The client offers ChaCha20-Poly1305 and no other suite."""
    for connection in trace.connections:
        hello = connection.stream(KIND_INITIAL, is_from_client=True).message(CLIENT_HELLO)
        offered = offered_suites(hello) if hello else []
        if offered != [CHACHA20]:
            raise DisagreementError(f"the client offers {', '.join(map(hex, offered)) or 'nothing'}, not 0x1303 alone")
    return "0x1303 alone is offered"


def stream_limit(trace: Trace) -> str:
    """The server allows 1000 bidirectional streams at first, at most."""
    extensions = trace.connections[0].stream(KIND_HANDSHAKE, is_from_client=False).message(ENCRYPTED_EXTENSIONS)
    value = quic_parameters(extensions).get(INITIAL_MAX_STREAMS_BIDI) if extensions else None
    if value is None:
        raise DisagreementError("the server's initial_max_streams_bidi cannot be read")
    limit = parameter_number(value)
    if limit > 1000:
        raise DisagreementError(f"the server allows {limit} streams at first, more than 1000")
    return f"{limit} streams at first"


def retry_used(trace: Trace) -> str:
    """A Retry; then an Initial with its token, and a higher packet number than any before it."""
    tokens = {
        datagram.seen.payload[packet.header.number_offset : packet.header.end - RETRY_TAG_BYTES]
        for datagram in trace.sent
        for packet in datagram.packets
        if packet.kind == KIND_RETRY and not datagram.is_from_client
    }
    if not tokens or b"" in tokens:
        raise DisagreementError("a Retry without a token" if tokens else "no Retry")
    highest = -1
    for packet in trace.packets(KIND_INITIAL, is_from_client=True):
        if not packet.header.token:
            highest = max(highest, packet.number)
        elif packet.header.token in tokens:
            if packet.number <= highest:
                raise DisagreementError(f"number {packet.number} after the Retry, and {highest} before it")
            return f"the Retry's token in packet {packet.number}, after {highest}"
    raise DisagreementError("no Initial packet has the Retry's token")


def certificate_once(trace: Trace) -> str:
    """The first handshake has a Certificate, the second has none."""
    made = [each for each in trace.connections if each.stream(KIND_HANDSHAKE, is_from_client=False).data]
    if len(made) != 2:
        raise DisagreementError(f"{len(made)} handshakes that can be read, not 2")
    for number, connection in enumerate(made):
        has_certificate = connection.stream(KIND_HANDSHAKE, is_from_client=False).message(CERTIFICATE) is not None
        if has_certificate != (number == 0):
            raise DisagreementError(
                "a Certificate in the second handshake too" if number else "no Certificate in the first handshake"
            )
    return "a certificate in the first handshake alone"


def early_data(trace: Trace) -> str:
    """Some 0-RTT packets, and at most 5000 bytes of 1-RTT packets from the client."""
    early = sum(packet.payload_bytes for packet in trace.packets(KIND_ZERO_RTT, is_from_client=True))
    late = sum(packet.payload_bytes for packet in trace.packets(KIND_ONE_RTT, is_from_client=True))
    if not early:
        raise DisagreementError(f"no 0-RTT packets; {late} bytes in 1-RTT packets of the client")
    if late > LATE_BYTES:
        raise DisagreementError(f"{early} bytes in 0-RTT packets, {late} in 1-RTT ones, more than {LATE_BYTES}")
    return f"{early} bytes in 0-RTT packets, {late} in 1-RTT"


def version2_chosen(trace: Trace) -> str:
    """The client begins with version 1, the server answers in version 2, and all Handshake packets have that."""
    client = {packet.header.version for packet in trace.packets(KIND_INITIAL, is_from_client=True)}
    if VERSION_1 not in client:
        raise DisagreementError(f"the client's Initial packets have version {_text(client)}, none has 1")
    server = {packet.header.version for packet in trace.packets(KIND_INITIAL, is_from_client=False)}
    if VERSION_2 not in server:
        raise DisagreementError(f"the server's Initial packets have version {_text(server)}")
    for is_from_client in (True, False):
        found = {packet.header.version for packet in trace.packets(KIND_HANDSHAKE, is_from_client=is_from_client)}
        if found != {VERSION_2}:
            who = "client" if is_from_client else "server"
            raise DisagreementError(f"the {who}'s Handshake packets have version {_text(found)}")
    return "version 2 from the server's Initial on"


def _text(versions: set[int]) -> str:
    return ", ".join(map(hex, sorted(versions))) or "of nothing"


CHACHA20 = 0x1303
LATE_BYTES = 5000
"""Half of what the names of the 40 files are, 250 bytes each."""
