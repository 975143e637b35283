"""What all cases demand: so many handshakes, and the version."""

from __future__ import annotations

from collections.abc import Callable

from interop.outcome import DisagreementError
from interop.quic.dissect.frames import APPLICATION_CLOSE, CLOSE
from interop.quic.dissect.trace import Trace
from wire.quic.packet import KIND_INITIAL, KIND_RETRY, VERSION_1

Criterion = Callable[[Trace], str]


def handshakes(count: int) -> Criterion:
    """So many, by the connection IDs that the server chose (its Initial packets' sources)."""

    def check(trace: Trace) -> str:
        found = {packet.header.source_cid for packet in trace.packets(KIND_INITIAL, is_from_client=False)}
        if len(found) != count:
            raise DisagreementError(f"{len(found)} handshakes, not {count}")
        return f"{count} handshake{'s' * (count > 1)}"

    return check


def version1(trace: Trace) -> str:
    """Every Initial packet of the server has version 1."""
    found = {packet.header.version for packet in trace.packets(KIND_INITIAL, is_from_client=False)}
    if found != {VERSION_1}:
        raise DisagreementError(f"versions in the server's Initial packets: {', '.join(map(hex, sorted(found)))}")
    return "version 1"


def no_retry(trace: Trace) -> str:
    """The server sent no Retry."""
    if next(trace.packets(KIND_RETRY, is_from_client=False), None) is not None:
        raise DisagreementError("the server sent a Retry")
    return "no Retry"


def closed_well(trace: Trace) -> str:
    """Nobody closed a connection with a transport error, or with an application error but H3_NO_ERROR."""
    for datagram in trace.sent:
        for packet in datagram.packets:
            for frame in packet.frames:
                code = frame.numbers[0] if frame.kind in (CLOSE, APPLICATION_CLOSE) else 0
                if code not in (0, H3_NO_ERROR):
                    who, text = "client" if datagram.is_from_client else "server", frame.data.decode(errors="replace")
                    raise DisagreementError(f"the {who} closed with error {code:#x} {text}")
    return "no errors"


H3_NO_ERROR = 0x100
