"""What every frame transport does. Subclass `FrameContract` in a test module and say how to make a pair."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from transports.errors import TransportError
from transports.frames import FrameTransport


class FrameRig:
    """Two ends of one link."""

    def __init__(self, near: FrameTransport, far: FrameTransport) -> None:
        self.near = near
        self.far = far

    def settle(self) -> None:
        """Let what was sent arrive, where that takes more than the call itself."""

    def drain(self, end: FrameTransport) -> list[bytes]:
        self.settle()
        frames = []
        while (view := end.receive()) is not None:
            frames.append(bytes(view))
        return frames


class FrameContract:
    """Tests of the `FrameTransport` protocol."""

    def rig(self) -> AbstractContextManager[FrameRig]:
        """Two connected ends."""
        raise NotImplementedError

    @pytest.fixture
    def pair(self) -> Iterator[FrameRig]:
        with self.rig() as rig:
            yield rig

    def test_it_is_a_frame_transport(self, pair: FrameRig) -> None:
        assert isinstance(pair.near, FrameTransport)

    def test_nothing_sent_is_nothing_received(self, pair: FrameRig) -> None:
        assert pair.far.receive() is None

    def test_frames_arrive_whole_apart_and_in_order(self, pair: FrameRig) -> None:
        frames = [bytes([number]) * 100 for number in range(20)]
        for frame in frames:
            assert pair.near.send([frame[:14], frame[14:]])
        assert pair.drain(pair.far) == frames

    def test_both_directions_work(self, pair: FrameRig) -> None:
        assert pair.far.send([b"back"])
        assert pair.near.send([b"there"])
        assert (pair.drain(pair.near), pair.drain(pair.far)) == ([b"back"], [b"there"])

    def test_the_largest_frame_passes_and_a_larger_one_is_misuse(self, pair: FrameRig) -> None:
        limit = pair.near.frame_limit_bytes
        assert pair.near.send([bytes(limit)])
        with pytest.raises(TransportError, match="does not fit"):
            pair.near.send([bytes(limit + 1)])
        with pytest.raises(TransportError, match="does not fit"):
            pair.near.send([])
        assert pair.drain(pair.far) == [bytes(limit)]

    def test_views_may_change_once_sent(self, pair: FrameRig) -> None:
        buffer = bytearray(b"before")
        assert pair.near.send([buffer])
        buffer[:] = b"behind"
        assert pair.drain(pair.far) == [b"before"]

    def test_closing_twice_is_closing_once_and_sending_then_is_an_error(self, pair: FrameRig) -> None:
        pair.near.close()
        pair.near.close()
        with pytest.raises(TransportError, match="closed"):
            pair.near.send([b"x"])
