"""What we use of aioquic's HTTP/3, and what it uses of us: a release that changes either fails here by name."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from aioquic.h3 import connection, events
from aioquic.quic import events as quic_events

from stacks.quic.http3.surface import QuicSurface

SIGNATURES = {
    "H3Connection.__init__": "(self, quic, enable_webtransport=False)",
    "H3Connection.handle_event": "(self, event)",
    "H3Connection.send_headers": "(self, stream_id, headers, end_stream=False)",
    "H3Connection.send_data": "(self, stream_id, data, end_stream)",
}
FIELDS = {
    events.DataReceived: {"data", "stream_id", "stream_ended", "push_id"},
    events.HeadersReceived: {"headers", "stream_id", "stream_ended", "push_id"},
    quic_events.StreamDataReceived: {"data", "end_stream", "stream_id"},
    quic_events.StreamReset: {"error_code", "stream_id"},
    quic_events.StopSendingReceived: {"error_code", "stream_id"},
}
CODES = {"H3_NO_ERROR": 0x100, "H3_REQUEST_CANCELLED": 0x10C}


def _shape(function: object) -> str:
    signature = inspect.signature(function)  # type: ignore[arg-type]
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize("name", SIGNATURES)
def test_signature_is_the_one_we_call(name: str) -> None:
    kind, method = name.split(".")
    assert _shape(getattr(getattr(connection, kind), method)) == SIGNATURES[name]


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_event_has_its_fields(kind: type) -> None:
    assert FIELDS[kind] <= set(kind.__dataclass_fields__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", CODES)
def test_code_has_its_value(name: str) -> None:
    assert connection.ErrorCode[name] == CODES[name]


def test_library_asks_a_connection_for_nothing_that_the_surface_has_not() -> None:
    tree = ast.parse(Path(inspect.getfile(connection)).read_text())
    asked = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"self._quic", "quic"}
    }
    surface = set(dir(QuicSurface)) | {"configuration", "_quic_logger", "_remote_max_datagram_frame_size"}
    assert asked <= surface
    assert asked >= {"send_stream_data", "get_next_available_stream_id", "close"}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("get_next_available_stream_id", "(self, is_unidirectional=False)"),
        ("send_stream_data", "(self, stream_id, data, end_stream=False)"),
        ("reset_stream", "(self, stream_id, error_code)"),
        ("send_datagram_frame", "(self, data)"),
    ],
)
def test_surface_is_called_as_the_library_calls_a_connection(name: str, shape: str) -> None:
    from aioquic.quic.connection import QuicConnection

    assert _shape(getattr(QuicSurface, name)) == _shape(getattr(QuicConnection, name)) == shape
