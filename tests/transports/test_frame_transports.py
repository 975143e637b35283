"""The frame contract, applied to every transport of that shape."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from tests.transports.frame_contract import FrameContract, FrameRig
from transports.clock import VirtualClock
from transports.errors import TransportError
from transports.frame_ends import FrameEnd
from transports.impairments import Impairments
from transports.memory_frames import memory_frame_pair
from transports.simulation import Simulation
from transports.simulation.frames import simulated_frame_pair


class TestMemoryFrames(FrameContract):
    @contextlib.contextmanager
    def rig(self) -> Iterator[FrameRig]:
        yield FrameRig(*memory_frame_pair(clock=VirtualClock()))


class SimulatedFrameRig(FrameRig):
    def __init__(self, simulation: Simulation, near: FrameEnd, far: FrameEnd) -> None:
        super().__init__(near, far)
        self._simulation = simulation

    def settle(self) -> None:
        self._simulation.run(max_steps=1000)


class TestSimulatedFrames(FrameContract):
    @contextlib.contextmanager
    def rig(self) -> Iterator[FrameRig]:
        simulation = Simulation(2)
        yield SimulatedFrameRig(simulation, *simulated_frame_pair(simulation))


def test_a_reader_wakes_when_a_frame_arrives_after_its_delay() -> None:
    async def main() -> None:
        near, far = memory_frame_pair(impairments=Impairments(delay_ns=5_000_000))
        start = trio.current_time()
        near.send([b"x"])
        await near.wait_writable()
        await far.wait_readable()
        assert trio.current_time() - start == pytest.approx(0.005)
        assert far.receive() is not None

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


def test_loss_on_a_simulated_link_repeats_for_a_seed() -> None:
    def run(seed: int) -> list[bytes]:
        simulation = Simulation(seed)
        near, far = simulated_frame_pair(simulation, Impairments(loss=0.3))
        for number in range(50):
            near.send([bytes([number])])
        return SimulatedFrameRig(simulation, near, far).drain(far)

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert 20 < len(run(1)) < 50


def test_a_limit_that_no_carrier_holds_is_refused() -> None:
    with pytest.raises(TransportError, match="1 to 65507"):
        memory_frame_pair(clock=VirtualClock(), frame_limit_bytes=70_000)
