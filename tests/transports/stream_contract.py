"""What every stream transport does. Subclass `StreamContract` in a test module and say how to make a pair."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager

import pytest
import trio
import trio.testing

from transports.errors import TransportError
from transports.stream import StreamTransport


class StreamRig:
    """Two ends of one connection."""

    def __init__(self, near: StreamTransport, far: StreamTransport) -> None:
        self.near = near
        self.far = far

    def settle(self) -> None:
        """Let what was sent arrive, where that takes more than the call itself."""

    def drain(self, end: StreamTransport) -> bytes:
        """Everything there is to read now."""
        self.settle()
        read = bytearray()
        # Two views of odd sizes, so that what arrives is spread over both.
        near, far = memoryview(bytearray(1001)), memoryview(bytearray(100_003))
        while length := end.receive_into([near, far]):
            read += near[:length]
            read += far[: max(0, length - len(near))]
        return bytes(read)

    def close(self) -> None:
        self.near.close()
        self.far.close()


class StreamContract:
    """Tests of the `StreamTransport` protocol. is_a_way: whether what is sent is under way before it has arrived."""

    is_a_way = True

    def rig(self) -> AbstractContextManager[StreamRig]:
        """Two connected ends; closed when the block ends."""
        raise NotImplementedError

    @pytest.fixture
    def pair(self) -> Iterator[StreamRig]:
        with self.rig() as rig:
            yield rig

    def test_it_is_a_stream_transport(self, pair: StreamRig) -> None:
        assert isinstance(pair.near, StreamTransport)
        assert pair.near.failure == ""

    def test_what_one_end_calls_its_own_address_the_other_calls_remote(self, pair: StreamRig) -> None:
        assert pair.near.local == pair.far.remote
        assert pair.far.local == pair.near.remote

    def test_nothing_sent_is_nothing_received(self, pair: StreamRig) -> None:
        assert pair.far.receive_into(SCRAP) is None

    def test_views_arrive_joined_and_in_order(self, pair: StreamRig) -> None:
        assert pair.near.send([b"one ", bytearray(b"two "), memoryview(b"three")]) == 13
        assert pair.drain(pair.far) == b"one two three"
        assert pair.far.receive_into(SCRAP) is None

    def test_more_than_fits_is_taken_bit_by_bit(self, pair: StreamRig) -> None:
        payload = random.Random(5).randbytes(12_000_000)
        sent, received, was_full = 0, bytearray(), False
        while len(received) < len(payload):
            taken = pair.near.send([memoryview(payload)[sent : sent + 3_000_000]])
            was_full = was_full or not taken
            sent += taken
            if not taken or sent == len(payload):
                received += pair.drain(pair.far)
        assert was_full
        assert received == payload

    def test_both_directions_are_independent(self, pair: StreamRig) -> None:
        pair.near.send([b"there"])
        pair.far.send([b"back"])
        assert pair.drain(pair.near) == b"back"
        assert pair.drain(pair.far) == b"there"

    def test_finishing_ends_one_direction_after_what_was_sent(self, pair: StreamRig) -> None:
        pair.near.send([b"last words"])
        pair.near.finish()
        pair.near.finish()
        assert pair.drain(pair.far) == b"last words"
        for _ in range(2):
            assert pair.far.receive_into(SCRAP) == 0
        pair.far.send([b"answer"])
        assert pair.drain(pair.near) == b"answer"
        assert pair.far.failure == ""
        with pytest.raises(TransportError, match="finished"):
            pair.near.send([b"x"])

    def test_sending_to_a_closed_peer_is_a_loss_with_a_cause_and_no_exception(self, pair: StreamRig) -> None:
        pair.far.close()
        pair.far.close()
        for _ in range(3):
            pair.settle()
            assert pair.near.send([b"anybody?"]) == 8
        assert pair.near.failure
        assert pair.near.receive_into(SCRAP) == 0

    def test_what_an_aborted_connection_has_not_delivered_never_arrives(self, pair: StreamRig) -> None:
        sent = 0
        while taken := pair.near.send([bytes(1_000_000)]):
            sent += taken
        pair.near.abort()
        pair.near.abort()
        received = len(pair.drain(pair.far))
        assert (received < sent, bool(pair.far.failure)) == (self.is_a_way, self.is_a_way)

    def test_an_aborted_connection_that_has_delivered_everything_is_an_end(self, pair: StreamRig) -> None:
        pair.near.send([b"all of it"])
        assert pair.drain(pair.far) == b"all of it"
        pair.near.abort()
        pair.settle()
        assert pair.far.receive_into(SCRAP) == 0
        with pytest.raises(TransportError):
            pair.near.send([b"x"])

    def test_using_a_closed_end_is_an_error(self, pair: StreamRig) -> None:
        pair.near.close()
        with pytest.raises(TransportError):
            pair.near.send([b"x"])
        with pytest.raises(TransportError):
            pair.near.receive_into(SCRAP)


class WaitingStreamContract(StreamContract):
    """And what those do that tasks can wait for."""

    def test_a_reader_wakes_when_something_arrives(self) -> None:
        async def main(rig: StreamRig) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rig.far.wait_readable)
                await trio.testing.wait_all_tasks_blocked()
                rig.near.send([b"x"])
            assert rig.drain(rig.far) == b"x"

        self.run_waiting(main)

    def test_a_reader_wakes_at_the_end(self) -> None:
        async def main(rig: StreamRig) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rig.far.wait_readable)
                await trio.testing.wait_all_tasks_blocked()
                rig.near.finish()
            assert rig.far.receive_into(SCRAP) == 0

        self.run_waiting(main)

    def test_a_writer_waits_while_it_is_full(self) -> None:
        async def main(rig: StreamRig) -> None:
            while rig.near.send([bytes(1_000_000)]):
                pass
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rig.near.wait_writable)
                await trio.testing.wait_all_tasks_blocked()
                while not rig.near.send([b"x"]):
                    assert rig.drain(rig.far) or rig.near.send([b"x"])
            await rig.near.wait_writable()

        self.run_waiting(main)

    def test_closing_ends_a_wait(self) -> None:
        async def wait(end: StreamTransport) -> None:
            with pytest.raises(trio.ClosedResourceError):
                await end.wait_readable()

        async def main(rig: StreamRig) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait, rig.far)
                await trio.testing.wait_all_tasks_blocked()
                rig.far.close()

        self.run_waiting(main)

    def run_waiting(self, main: Callable[[StreamRig], Awaitable[None]]) -> None:
        async def bounded() -> None:
            with trio.fail_after(55), self.rig() as rig:
                await main(rig)

        trio.run(bounded)


SCRAP = [memoryview(bytearray(64))]
