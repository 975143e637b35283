"""The validator finds what is wrong: a log that is right, spoilt in one place, is not right."""

from __future__ import annotations

import pytest

from tests.stacks.quic.qlog.memory import Logs, started
from tests.stacks.quic.qlog.test_events import tell_everything
from tests.stacks.quic.qlog.validator import problems

SPOILT = {
    "a missing field": (b'"header":{"packet_type":"1RTT","packet_number":3},', b""),
    "a field that is none": (b'"frames":', b'"frame":'),
    "a word that is none": (b'"trigger":"time_threshold"', b'"trigger":"bad_luck"'),
    "a name that is none": (b"quic:mtu_updated", b"quic:mtu_changed"),
    "a number for a text": (b'"new":"slow start"', b'"new":7'),
    "a text for a number": (b'"pto_count":0', b'"pto_count":"0"'),
    "a truth for a number": (b'"pto_count":0', b'"pto_count":false'),
    "a negative number": (b'"packet_number":1}', b'"packet_number":-1}'),
    "more than 16 bits": (b'"count":3', b'"count":65536'),
    "no hexadecimal": (b'"chosen_version":"00000001"', b'"chosen_version":"0000001"'),
    "an empty array": (b'"packet_numbers":[3]', b'"packet_numbers":[]'),
    "a packet twice": (b'"packet_type":"1RTT","packet_number":3}', b'"packet_type":"0RTT","packet_number":1}'),
    "an ACK of what was not sent": (b'"packet_numbers":[3]', b'"packet_numbers":[4]'),
    "a loss of what was not sent": (
        b'"header":{"packet_type":"handshake","packet_number":2},"trigger":"time',
        b'"header":{"packet_type":"handshake","packet_number":3},"trigger":"time',
    ),
    "a state that was another": (b'"old":"testing"', b'"old":"unknown"'),
    "a time that goes back": (b'{"time":0.000007', b'{"time":0.000001'),
    "no draft": (b"events:quic-13", b"events:quic"),
    "another file schema": (b"file:sequential", b"file:contained"),
    "a late schema": (b'{"file_schema"', b'{"description":"' + bytes([65]) * 300 + b'","file_schema"'),
    "a clock with an epoch": (b'"epoch":"unknown"', b'"epoch":"1970-01-01T00:00:00.000Z"'),
    "a code of a known error": (b'"connection_error":"p', b'"error_code":10,"connection_error":"p'),
    "upper case": (b'"is_resumed"', b'"isResumed"'),
    "a timer without a time": (b',"delta":1.5', b""),
    "a range of the wrong order": (b'{"frame_type":"ping"}', b'{"frame_type":"ack","acked_ranges":[[2,1]]}'),
    "a stream without a length": (b'{"frame_type":"ping"}', b'{"frame_type":"stream","stream_id":0}'),
    "a frame that is none": (b'{"frame_type":"ping"}', b'{"frame_type":"pong"}'),
}  # fmt: skip


@pytest.fixture(scope="module")
def log() -> bytes:
    logs = Logs()
    tell_everything(started(logs))
    assert problems(logs.only()) == []
    return logs.only()


@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_log_is_found_out(log: bytes, name: str) -> None:
    good, bad = SPOILT[name]
    assert good in log
    assert problems(log.replace(good, bad, 1)) != []


def test_bytes_that_are_no_sequence_are_found_out(log: bytes) -> None:
    for spoilt in (log[1:], log[:-1], log.replace(b"\n\x1e", b"\x1e", 1)):
        with pytest.raises(AssertionError):
            problems(spoilt)
