"""Frames as the draft writes them, from the bytes that a packet carries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stacks.quic.levels import LEVEL_ONE_RTT
from stacks.quic.qlog.frames import READERS, frames_text
from tests.stacks.quic.qlog.frame_rules import FRAME_EXTENSIONS, FRAME_RULES
from tests.stacks.quic.qlog.memory import Logs, started
from tests.stacks.quic.qlog.validator import problems
from wire.quic import frames as f
from wire.quic.ack_frames import encode_ack
from wire.quic.stream_frames import Datagram

STREAM = bytes.fromhex("0f044064") + b"\x05" + b"hello"
"""Stream 4, offset 100 (2 bytes), 5 bytes, FIN: RFC 9000 19.8."""
BIG = (1 << 62) - 1

CASES: list[tuple[bytes, dict[str, Any]]] = [
    (bytes(7), {"frame_type": "padding", "raw": {"payload_length": 7}}),
    (b"\x01", {"frame_type": "ping"}),
    (
        encode_ack([(10, 22), (7, 7), (1, 2)], 125),
        {"frame_type": "ack", "ack_delay": 1, "acked_ranges": [[1, 2], [7], [10, 22]]},
    ),
    (
        encode_ack([(0, 3)], 0, (9, 8, 7)),
        {"frame_type": "ack", "ack_delay": 0, "acked_ranges": [[0, 3]], "ect0": 9, "ect1": 8, "ce": 7},
    ),
    (
        f.ResetStream(4, 0x10C, 999).encode(),
        {"frame_type": "reset_stream", "stream_id": 4, "error": "unknown", "error_code": 0x10C, "final_size": 999},
    ),
    (
        f.ResetStreamAt(4, 1, 999, 10).encode(),
        {
            "frame_type": "reset_stream_at", "stream_id": 4, "error": "unknown", "error_code": 1, "final_size": 999,
            "reliable_size": 10,
        },
    ),
    (
        f.StopSending(4, 1).encode(),
        {"frame_type": "stop_sending", "stream_id": 4, "error": "unknown", "error_code": 1},
    ),
    (f.Crypto(10, b"abc").encode(), {"frame_type": "crypto", "offset": 10, "raw": {"length": 3}}),
    (f.NewToken(b"abcd").encode(), {"frame_type": "new_token", "token": {"type": "resumption", "raw": {"length": 4}}}),
    (STREAM, {"frame_type": "stream", "stream_id": 4, "offset": 100, "fin": True, "raw": {"length": 5}}),
    (f.MaxData(BIG).encode(), {"frame_type": "max_data", "maximum": BIG}),
    (f.MaxStreamData(3, 5).encode(), {"frame_type": "max_stream_data", "stream_id": 3, "maximum": 5}),
    (f.MaxStreams(5).encode(), {"frame_type": "max_streams", "stream_type": "bidirectional", "maximum": 5}),
    (f.MaxStreams(5).encode_uni(), {"frame_type": "max_streams", "stream_type": "unidirectional", "maximum": 5}),
    (f.DataBlocked(5).encode(), {"frame_type": "data_blocked", "limit": 5}),
    (f.StreamDataBlocked(3, 5).encode(), {"frame_type": "stream_data_blocked", "stream_id": 3, "limit": 5}),
    (f.StreamsBlocked(5).encode(), {"frame_type": "streams_blocked", "stream_type": "bidirectional", "limit": 5}),
    (f.StreamsBlocked(5).encode_uni(), {"frame_type": "streams_blocked", "stream_type": "unidirectional", "limit": 5}),
    (
        f.NewConnectionId(2, 1, b"\xab\xcd", bytes(16)).encode(),
        {
            "frame_type": "new_connection_id", "sequence_number": 2, "retire_prior_to": 1, "connection_id_length": 2,
            "connection_id": "abcd", "stateless_reset_token": "00" * 16,
        },
    ),
    (f.RetireConnectionId(3).encode(), {"frame_type": "retire_connection_id", "sequence_number": 3}),
    (f.PathChallenge(b"12345678").encode(), {"frame_type": "path_challenge", "data": b"12345678".hex()}),
    (f.PathResponse(b"12345678").encode(), {"frame_type": "path_response", "data": b"12345678".hex()}),
    (
        f.ConnectionClose(0x178, "nö".encode(), frame_type=6).encode(),
        {
            "frame_type": "connection_close", "error_space": "transport", "error": "crypto_error_0x178",
            "trigger_frame_type": 6, "reason": "nö",
        },
    ),
    (
        f.ConnectionClose(0x11, b"", frame_type=0).encode(),
        {
            "frame_type": "connection_close", "error_space": "transport", "error": "unknown", "error_code": 0x11,
            "trigger_frame_type": 0, "reason": "",
        },
    ),
    (
        f.ConnectionClose(5, b"\xff", is_application=True).encode(),
        {
            "frame_type": "connection_close", "error_space": "application", "error": "unknown", "error_code": 5,
            "reason": "\ufffd",
        },
    ),
    (b"\x1e", {"frame_type": "handshake_done"}),
    (Datagram(b"abc").encode(), {"frame_type": "datagram", "raw": {"length": 3}}),
    (
        f.AckFrequency(1, 2, 3, 4).encode(),
        {
            "frame_type": "ack_frequency", "sequence_number": 1, "ack_eliciting_threshold": 2,
            "requested_max_ack_delay": 3, "reordering_threshold": 4,
        },
    ),
    (b"\x1f", {"frame_type": "immediate_ack"}),
    (b"\x40\x52abc", {"frame_type": "unknown", "frame_type_bytes": 0x52, "raw": {"length": 5}}),
    (b"\x40\x01", {"frame_type": "unknown", "frame_type_bytes": 0x01, "raw": {"length": 2}}),
    (b"\x80\x01", {"frame_type": "unknown", "frame_type_bytes": 0x80, "raw": {"length": 2}}),
    (b"\x21abc", {"frame_type": "unknown", "frame_type_bytes": 0x21, "raw": {"length": 4}}),
    (STREAM[:-1], {"frame_type": "unknown", "frame_type_bytes": 0x0F, "raw": {"length": 9}}),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "expected"), CASES, ids=lambda case: case.hex() if isinstance(case, bytes) else "")
def test_a_frame_is_written_with_the_fields_of_the_draft(payload: bytes, expected: dict[str, Any]) -> None:
    assert json.loads(frames_text(memoryview(payload), 3)) == [expected]
    assert _problems(payload) == []


def test_every_frame_of_the_draft_is_a_case() -> None:
    told = {expected["frame_type"] for _, expected in CASES}
    assert told == set(FRAME_RULES) | set(FRAME_EXTENSIONS)


def test_frames_are_told_in_order_and_padding_once() -> None:
    payload = b"\x01" + bytes(3) + STREAM + bytes(40)
    kinds = [frame["frame_type"] for frame in json.loads(frames_text(memoryview(payload), 3))]
    assert kinds == ["ping", "padding", "stream", "padding"]


def test_the_delay_of_an_ack_is_scaled_by_the_exponent_of_its_sender() -> None:
    payload = memoryview(encode_ack([(0, 0)], 1000))
    assert json.loads(frames_text(payload, 3))[0]["ack_delay"] == 8
    assert json.loads(frames_text(payload, 0))[0]["ack_delay"] == 1


@given(st.lists(st.sampled_from([payload for payload, _ in CASES[1:-5]]), max_size=6), st.binary(max_size=40))
def test_no_payload_makes_a_log_that_the_rules_forbid(payloads: list[bytes], rest: bytes) -> None:
    assert _problems(b"".join(payloads) + rest) == []


@given(st.sampled_from(sorted(READERS)), st.binary(max_size=40))
def test_no_frame_that_is_cut_off_stops_the_log(frame_type: int, rest: bytes) -> None:
    head = frame_type.to_bytes(1, "big") if frame_type < 0x40 else (0x4000 | frame_type).to_bytes(2, "big")
    assert _problems(head + rest) == []


def _problems(payload: bytes) -> list[str]:
    logs = Logs()
    started(logs).packet_received(0, LEVEL_ONE_RTT, 0, len(payload) + 20, memoryview(payload))
    return problems(logs.only())
