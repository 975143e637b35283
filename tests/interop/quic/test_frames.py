"""Frames of a payload, against RFC 9000 19's layouts written out by hand."""

from __future__ import annotations

import pytest

from interop.quic.dissect.frames import SeenFrame, UnreadableFrameError, read_frames

FRAMES = {
    "01": SeenFrame(1),
    "02 05 01 00 03": SeenFrame(2, (5, 1, 3)),
    "02 4064 01 01 00 02 03": SeenFrame(2, (100, 1, 0)),
    "03 05 01 00 03 0a 0b 01": SeenFrame(3, (5, 1, 3, 10, 11, 1)),
    "06 05 03 616263": SeenFrame(6, (5,), b"abc"),
    "07 02 6162": SeenFrame(7, (), b"ab"),
    "0e 04 4400 02 6162": SeenFrame(14, (4, 0x400), b"ab"),
    "0a 04 02 6162": SeenFrame(10, (4,), b"ab"),
    "18 01 00 04 aabbccdd " + "11" * 16: SeenFrame(0x18, (1, 0), bytes.fromhex("aabbccdd") + b"\x11" * 16),
    "1a 0102030405060708": SeenFrame(0x1A, (), bytes(range(1, 9))),
    "1c 0a 06 02 6162": SeenFrame(0x1C, (10, 6), b"ab"),
    "1d 0a 02 6162": SeenFrame(0x1D, (10,), b"ab"),
    "1e": SeenFrame(0x1E),
    "31 01 61": SeenFrame(0x31, (), b"a"),
}


@pytest.mark.parametrize("text", FRAMES)
def test_a_frame_is_read_to_its_end(text: str) -> None:
    payload = bytes.fromhex(text)
    assert list(read_frames(payload + b"\0\0\x01")) == [FRAMES[text], SeenFrame(1)]


@pytest.mark.parametrize("text", ["0c 04 09 616263", "30 616263"])
def test_a_frame_without_a_length_takes_what_is_left(text: str) -> None:
    frames = list(read_frames(b"\x01" + bytes.fromhex(text)))
    assert frames[1].data == b"abc"


@pytest.mark.parametrize("text", [text for text in FRAMES if text not in ("01", "1e")])
def test_a_frame_that_is_cut_off_cannot_be_read(text: str) -> None:
    payload = bytes.fromhex(text)
    for length in range(1, len(payload)):
        with pytest.raises(UnreadableFrameError):
            list(read_frames(payload[:length]))


def test_a_frame_of_no_known_type_cannot_be_read() -> None:
    with pytest.raises(UnreadableFrameError, match="0x2b"):
        list(read_frames(b"\x01\x2b"))
