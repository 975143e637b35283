"""What every datagram transport does. Subclass `DatagramContract` in a test module and say how to make a pair."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager

import pytest
import trio
import trio.testing

from transports.datagram import Address, Burst, DatagramTransport, Transmit
from transports.errors import TransportError


class Rig:
    """Two transports that reach each other, and an address where nobody is."""

    def __init__(self, near: DatagramTransport, far: DatagramTransport, nobody: Address) -> None:
        self.near = near
        self.far = far
        self.nobody = nobody

    def settle(self) -> None:
        """Let what was sent arrive, where that takes more than the call itself."""

    def drain(self, transport: DatagramTransport) -> list[bytes]:
        self.settle()
        return [datagram for burst in bursts_of(transport) for datagram in burst]

    def close(self) -> None:
        self.near.close()
        self.far.close()


def datagrams_of(burst: Burst) -> list[bytes]:
    assert burst.segment_bytes > 0
    assert len(burst.view) > 0
    step = burst.segment_bytes
    return [bytes(burst.view[start : start + step]) for start in range(0, len(burst.view), step)]


def bursts_of(transport: DatagramTransport) -> Iterator[list[bytes]]:
    while (burst := transport.receive()) is not None:
        yield datagrams_of(burst)


def pattern(length: int, seed: int = 0) -> bytes:
    return bytes((seed + position * 7 + (position >> 8)) & 0xFF for position in range(length))


class DatagramContract:
    """Tests of the `DatagramTransport` protocol."""

    def rig(self) -> AbstractContextManager[Rig]:
        """Two open transports; closed when the block ends."""
        raise NotImplementedError

    @pytest.fixture
    def pair(self) -> Iterator[Rig]:
        with self.rig() as rig:
            yield rig

    def test_it_is_a_datagram_transport(self, pair: Rig) -> None:
        assert isinstance(pair.near, DatagramTransport)

    def test_addresses_are_numeric_host_and_port_and_differ(self, pair: Rig) -> None:
        for host, port in (pair.near.address, pair.far.address):
            assert isinstance(host, str)
            assert isinstance(port, int)
        assert pair.near.address != pair.far.address

    def test_nothing_sent_is_nothing_received(self, pair: Rig) -> None:
        assert pair.far.receive() is None

    def test_a_transmit_without_segments_is_one_datagram(self, pair: Rig) -> None:
        payload = pattern(5000)
        assert pair.near.send(Transmit([payload], 0, None, pair.far.address))
        assert pair.drain(pair.far) == [payload]

    @pytest.mark.parametrize(("count", "size", "last"), [(1, 64, 64), (2, 1, 1), (15, 4112, 4112), (5, 1000, 17)])
    def test_segments_arrive_whole_and_in_order(self, pair: Rig, count: int, size: int, last: int) -> None:
        payload = pattern((count - 1) * size + last)
        assert pair.near.send(Transmit([payload], size, None, pair.far.address))
        assert pair.drain(pair.far) == [payload[start : start + size] for start in range(0, len(payload), size)]

    def test_more_than_one_send_can_carry_arrives_all_the_same(self, pair: Rig) -> None:
        payload = pattern(130 * 700)
        assert pair.near.send(Transmit([payload], 700, None, pair.far.address))
        assert pair.drain(pair.far) == [payload[start : start + 700] for start in range(0, len(payload), 700)]

    def test_views_of_any_kind_and_number_are_joined(self, pair: Rig) -> None:
        payload = pattern(3000)
        views = [memoryview(payload)[start : start + 2] for start in range(0, 2600, 2)]
        assert pair.near.send(
            Transmit([*views, bytearray(payload[2600:2900]), b"", payload[2900:]], 1500, None, pair.far.address)
        )
        assert pair.drain(pair.far) == [payload[:1500], payload[1500:]]

    def test_views_may_change_once_sent(self, pair: Rig) -> None:
        buffer = bytearray(b"before")
        assert pair.near.send(Transmit([buffer], 0, None, pair.far.address))
        buffer[:] = b"behind"
        assert pair.drain(pair.far) == [b"before"]

    def test_a_burst_names_its_source_and_destination(self, pair: Rig) -> None:
        pair.near.send(Transmit([b"x"], 0, None, pair.far.address))
        pair.settle()
        burst = pair.far.receive()
        assert burst is not None
        assert (burst.source, burst.destination) == (pair.near.address, pair.far.address)

    def test_an_answer_to_the_source_comes_back(self, pair: Rig) -> None:
        pair.near.send(Transmit([b"ping"], 0, None, pair.far.address))
        pair.settle()
        burst = pair.far.receive()
        assert burst is not None
        pair.far.send(Transmit([bytes(burst.view) + b"pong"], 0, None, burst.source))
        assert pair.drain(pair.near) == [b"pingpong"]

    @pytest.mark.parametrize("ecn", [0, 1, 2, 3])
    @pytest.mark.parametrize("count", [1, 4])
    def test_the_ecn_bits_arrive(self, pair: Rig, ecn: int, count: int) -> None:
        pair.near.send(Transmit([bytes(100 * count)], 100, None, pair.far.address, ecn))
        pair.settle()
        burst = pair.far.receive()
        assert burst is not None
        assert burst.ecn == ecn

    def test_bursts_do_not_inherit_from_the_one_before(self, pair: Rig) -> None:
        pair.near.send(Transmit([bytes(900)], 300, None, pair.far.address, 3))
        pair.drain(pair.far)
        pair.near.send(Transmit([bytes(50)], 0, None, pair.far.address))
        pair.settle()
        burst = pair.far.receive()
        assert burst is not None
        assert (burst.segment_bytes, burst.ecn, len(burst.view)) == (50, 0, 50)

    def test_a_probe_arrives(self, pair: Rig) -> None:
        assert pair.near.send(Transmit([pattern(1400)], 0, None, pair.far.address, is_probe=True))
        assert pair.drain(pair.far) == [pattern(1400)]

    def test_sending_to_nobody_raises_nothing_and_harms_nothing(self, pair: Rig) -> None:
        for _ in range(3):
            assert pair.near.send(Transmit([b"?"], 0, None, pair.nobody))
            pair.settle()
        assert pair.near.receive() is None
        assert pair.near.send(Transmit([pattern(600)], 200, None, pair.far.address))
        assert pair.drain(pair.far) == [pattern(600)[:200], pattern(600)[200:400], pattern(600)[400:]]

    def test_closing_twice_is_closing_once_and_sending_then_is_an_error(self, pair: Rig) -> None:
        pair.near.close()
        pair.near.close()
        with pytest.raises(TransportError, match="closed"):
            pair.near.send(Transmit([b"x"], 0, None, pair.far.address))

    @pytest.mark.parametrize("seed", range(20))
    def test_any_cut_arrives_as_told(self, pair: Rig, seed: int) -> None:
        rng = random.Random(seed)
        views = [pattern(rng.randint(1, 300), number) for number in range(rng.randint(1, 12))]
        segment_bytes = rng.randint(1, 400)
        whole = b"".join(views)
        segment_bytes = max(segment_bytes, len(whole) // 48)  # a default receive buffer holds about 50 datagrams
        expected = [whole[start : start + segment_bytes] for start in range(0, len(whole), segment_bytes)]
        for _ in range(3):
            assert pair.near.send(Transmit(views, segment_bytes, None, pair.far.address))
            assert pair.drain(pair.far) == expected


class WaitingContract(DatagramContract):
    """And what those do that tasks can wait for: all but the simulated one."""

    def test_a_reader_wakes_when_something_arrives(self) -> None:
        async def main() -> None:
            with self.rig() as rig:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(rig.far.wait_readable)
                    await trio.testing.wait_all_tasks_blocked()
                    rig.near.send(Transmit([b"x"], 0, None, rig.far.address))
                burst = rig.far.receive()
                assert burst is not None
                assert bytes(burst.view) == b"x"

        self.run_waiting(main)

    def test_what_is_there_already_makes_it_readable(self) -> None:
        async def main() -> None:
            with self.rig() as rig:
                rig.near.send(Transmit([b"x"], 0, None, rig.far.address))
                await rig.far.wait_readable()
                assert rig.far.receive() is not None

        self.run_waiting(main)

    def test_an_idle_transport_is_writable(self) -> None:
        async def main() -> None:
            with self.rig() as rig:
                await rig.near.wait_writable()

        self.run_waiting(main)

    def test_closing_ends_a_wait(self) -> None:
        async def wait(transport: DatagramTransport) -> None:
            with pytest.raises(trio.ClosedResourceError):
                await transport.wait_readable()

        async def main() -> None:
            with self.rig() as rig:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(wait, rig.far)
                    await trio.testing.wait_all_tasks_blocked()
                    rig.far.close()

        self.run_waiting(main)

    def run_waiting(self, main: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            with trio.fail_after(55):
                await main()

        trio.run(bounded)
