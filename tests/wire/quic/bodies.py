"""Frames as their definition has them, and as the codecs do: one turned into the other, by the words of RFC 9000 19."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from construct import ConstructError
from hypothesis import strategies as st

from wire.quic import frame_types as t
from wire.quic.ack_frames import MAX_ACK_RANGES, Ack, PathAck
from wire.quic.definition import BODIES, FRAME
from wire.quic.frames import Datagram, Frame, MaxStreams, Padding, Stream, StreamsBlocked
from wire.quic.varint import VARINT_MAX

Body = dict[str, Any]

EDGES = (0, 1, 63, 64, 16383, 16384, (1 << 30) - 1, 1 << 30, VARINT_MAX - 1, VARINT_MAX)
varints = st.sampled_from(EDGES) | st.integers(0, VARINT_MAX)
small = st.integers(0, 70) | st.integers(0, 20_000)
UNI = {t.FRAME_MAX_STREAMS_UNI, t.FRAME_STREAMS_BLOCKED_UNI}
ACKS = {t.FRAME_ACK, t.FRAME_ACK_ECN, t.FRAME_PATH_ACK, t.FRAME_PATH_ACK_ECN}
TO_THE_END = {t.FRAME_DATAGRAM, *(t.FRAME_STREAM | bits for bits in range(8) if not bits & t.STREAM_LEN)}
"""Types whose frames have no length: the packet ends with them."""
payloads = st.binary(max_size=80) | st.sampled_from((63, 64, 300)).map(bytes)
PAYLOADS: dict[str, st.SearchStrategy[bytes]] = {
    "data": payloads,
    "token": payloads,
    "reason": payloads,
    "connection_id": st.binary(max_size=255),
    "stateless_reset_token": st.binary(min_size=16, max_size=16),
}


@st.composite
def bodies(draw: st.DrawFn, frame_type: int) -> Body:
    """A body that a codec writes just so: an offset that is there is not 0, ranges of an ACK are not below 0."""
    if frame_type in ACKS:
        return draw(_ack_bodies(frame_type))
    body: Body = {}
    for field in BODIES[frame_type].subcons:
        body[field.name] = draw(PAYLOADS.get(field.name, varints))
    if frame_type & ~7 == t.FRAME_STREAM and frame_type & t.STREAM_OFF:
        body["offset"] = draw(st.integers(1, VARINT_MAX - 300))
    elif frame_type == t.FRAME_CRYPTO:
        body["offset"] = draw(st.integers(0, VARINT_MAX - 300))
    elif frame_type in (t.FRAME_PATH_CHALLENGE, t.FRAME_PATH_RESPONSE):
        body["data"] = draw(st.binary(min_size=8, max_size=8))
    return body


@st.composite
def _ack_bodies(draw: st.DrawFn, frame_type: int) -> Body:
    steps = draw(st.lists(st.tuples(small, small), max_size=40))
    first_range = draw(small)
    least = first_range + sum(gap + 2 + length for gap, length in steps)
    body: Body = {"path_id": draw(varints)} if frame_type in (t.FRAME_PATH_ACK, t.FRAME_PATH_ACK_ECN) else {}
    body |= {"largest": draw(st.integers(least, VARINT_MAX)), "delay": draw(varints), "first_range": first_range}
    body["ranges"] = [{"gap": gap, "length": length} for gap, length in steps]
    if frame_type & 1:
        body["ecn"] = {name: draw(varints) for name in ("ect0", "ect1", "ce")}
    return body


def ranges_of(body: Any) -> list[tuple[int, int]]:
    """The ranges of an ACK's body, by the formulas of RFC 9000 19.3.1."""
    largest = body["largest"]
    smallest = largest - body["first_range"]
    ranges = [(smallest, largest)]
    for each in body["ranges"]:
        largest = smallest - each["gap"] - 2
        smallest = largest - each["length"]
        ranges.append((smallest, largest))
    return ranges


def is_forbidden(frame_type: int, body: Any) -> bool:
    """Whether the encoding itself forbids what the definition reads (RFC 9000 19.3.1, 19.6, 19.8)."""
    if frame_type in ACKS:
        return any(first < 0 for first, _ in ranges_of(body))
    if frame_type == t.FRAME_CRYPTO or frame_type & ~7 == t.FRAME_STREAM:
        return bool(body.get("offset", 0) + len(body["data"]) > VARINT_MAX)
    return False


def values_of(frame_type: int, body: Any) -> dict[str, Any]:
    """What a frame's fields must be for that body."""
    if frame_type in ACKS:
        ecn = tuple(body["ecn"][name] for name in ("ect0", "ect1", "ce")) if frame_type & 1 else None
        values = {"ranges": ranges_of(body)[:MAX_ACK_RANGES], "delay": body["delay"], "ecn": ecn}
        return values | ({"path_id": body["path_id"]} if "path_id" in body else {})
    values = {field.name: body[field.name] for field in BODIES[frame_type].subcons}
    if frame_type & ~7 == t.FRAME_STREAM:
        values = {"offset": 0} | values | {"is_fin": bool(frame_type & t.STREAM_FIN)}
    elif frame_type in (t.FRAME_CONNECTION_CLOSE, t.FRAME_CONNECTION_CLOSE_APPLICATION):
        is_application = frame_type == t.FRAME_CONNECTION_CLOSE_APPLICATION
        values = {"frame_type": 0} | values | {"is_application": is_application}
    return values


def fields_of(frame: Frame) -> dict[str, Any]:
    """A frame's fields."""
    return {name: getattr(frame, name) for name in frame.FIELDS}


def encoded(frame_type: int, frame: Frame) -> bytes:
    """A frame as its type says."""
    if isinstance(frame, Stream | Datagram):
        return frame.encode(is_last=frame_type in TO_THE_END)
    if isinstance(frame, MaxStreams | StreamsBlocked) and frame_type in UNI:
        return frame.encode_uni()
    encode = frame.encode  # type: ignore[attr-defined]
    raw: bytes = encode()
    return raw


def defined(raw: bytes) -> tuple[int, Any, int] | None:
    """Type, body and length of the first frame in `raw`, as the definition reads it; None where it cannot."""
    stream = BytesIO(raw)
    try:
        frame = FRAME.parse_stream(stream)
    except ConstructError:
        return None
    return frame.type, frame.body, stream.tell()


__all__ = ["ACKS", "BODIES", "EDGES", "TO_THE_END", "Ack", "Padding", "PathAck", "bodies", "defined", "encoded",
           "fields_of", "is_forbidden", "ranges_of", "values_of", "varints"]  # fmt: skip
