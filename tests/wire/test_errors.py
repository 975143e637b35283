"""The one error of codecs."""

from __future__ import annotations

from wire.errors import WireError


def test_message_names_format_field_offset_and_reason() -> None:
    error = WireError("16777216 is out of range", format="Bth", field="psn", offset=28)
    assert str(error) == "Bth.psn at offset 28: 16777216 is out of range"
    assert str(WireError("12 bytes needed", format="Bth")) == "Bth at offset 0: 12 bytes needed"
    assert (error.reason, error.format, error.field, error.offset) == ("16777216 is out of range", "Bth", "psn", 28)
    assert isinstance(error, Exception)
