"""The stream contract, applied to every transport of that shape."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from tests.transports.stream_contract import StreamContract, StreamRig, WaitingStreamContract
from transports.memory_stream import memory_stream_pair
from transports.simulation import Simulation
from transports.simulation.stream import SimulatedStream, simulated_stream_pair
from transports.stream_socket import SocketStream


class TestUnixSocket(WaitingStreamContract):
    is_a_way = False

    @contextlib.contextmanager
    def rig(self) -> Iterator[StreamRig]:
        near, far = socket.socketpair()
        rig = StreamRig(SocketStream(near), SocketStream(far))
        try:
            yield rig
        finally:
            rig.close()


class TestTcp(WaitingStreamContract):
    @contextlib.contextmanager
    def rig(self) -> Iterator[StreamRig]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = socket.create_connection(server.getsockname())
            far, _ = server.accept()
        rig = StreamRig(SocketStream(near), SocketStream(far))
        try:
            yield rig
        finally:
            rig.close()


class TestMemoryStream(WaitingStreamContract):
    is_a_way = False

    @contextlib.contextmanager
    def rig(self) -> Iterator[StreamRig]:
        yield StreamRig(*memory_stream_pair(3))


class TestMemoryStreamWithoutCuts(WaitingStreamContract):
    is_a_way = False

    @contextlib.contextmanager
    def rig(self) -> Iterator[StreamRig]:
        yield StreamRig(*memory_stream_pair(None))


class SimulatedStreamRig(StreamRig):
    def __init__(self, simulation: Simulation, near: SimulatedStream, far: SimulatedStream) -> None:
        super().__init__(near, far)
        self._simulation = simulation

    def settle(self) -> None:
        self._simulation.run(max_steps=10_000)


class TestSimulatedStream(StreamContract):
    @contextlib.contextmanager
    def rig(self) -> Iterator[StreamRig]:
        simulation = Simulation(4)
        yield SimulatedStreamRig(simulation, *simulated_stream_pair(simulation))


def test_a_simulated_stream_takes_its_time_tells_its_host_and_cuts_alike_for_a_seed() -> None:
    def run(seed: int) -> tuple[list[int], list[bytes]]:
        simulation = Simulation(seed)
        near, far = simulated_stream_pair(simulation, delay_ns=700)
        told: list[int] = []
        far.on_change = lambda: told.append(simulation.now)
        near.send([bytes(range(100))])
        simulation.run()
        pieces, view = [], memoryview(bytearray(200))
        while length := far.receive_into([view]):
            pieces.append(bytes(view[:length]))
        return told, pieces

    assert run(1) == run(1)
    assert run(1)[1] != run(2)[1]
    assert run(1)[0] == [700]
    assert b"".join(run(1)[1]) == bytes(range(100))
