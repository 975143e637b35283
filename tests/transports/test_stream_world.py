"""Connections between hosts in virtual time: how they come about, what they carry, and each way in which they fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.transports.stream_contract import StreamContract, StreamRig
from tests.transports.stream_cores import TalkingCore, TalkingEndpoint
from transports.errors import TransportError
from transports.simulation import Simulation
from transports.simulation.streams import StreamHost, StreamWorld, WorldStream

CLIENT, SERVER, OTHER = "192.0.2.2", "192.0.2.1", "192.0.2.3"
DELAY = 1000


class WorldRig(StreamRig):
    """Two ends of one connection of a world whose hosts do nothing by themselves."""

    def __init__(self, *, cuts: bool) -> None:
        self.world = StreamWorld(Simulation(3), delay_ns=DELAY, capacity_bytes=1 << 16, cuts=cuts)
        near = self.world.attach(TalkingEndpoint(), CLIENT)
        far = self.world.attach(TalkingEndpoint(), SERVER, ports=[7])
        for host in (near, far):
            host.stop()
        calling = near.network.connect((SERVER, 7))
        self.world.simulation.run()
        accepted = far.network.accept()
        assert accepted is not None
        super().__init__(calling, accepted)

    def settle(self) -> None:
        self.world.simulation.run(max_steps=100_000)


class TestWorldStream(StreamContract):
    @contextlib.contextmanager
    def rig(self) -> Iterator[StreamRig]:
        yield WorldRig(cuts=True)


class TestWorldStreamWithoutCuts(StreamContract):
    @contextlib.contextmanager
    def rig(self) -> Iterator[StreamRig]:
        yield WorldRig(cuts=False)


class World:
    """A server that echoes and a client, in a world of their own."""

    def __init__(self, seed: int = 1, *, cuts: bool = False, capacity_bytes: int = 1 << 16) -> None:
        self.simulation = Simulation(seed)
        self.world = StreamWorld(self.simulation, delay_ns=DELAY, capacity_bytes=capacity_bytes, cuts=cuts)
        self.serving, self.calling = TalkingEndpoint(echoes=True), TalkingEndpoint()
        self.server: StreamHost = self.world.attach(self.serving, SERVER, ports=[7, 8])
        self.client = self.world.attach(self.calling, CLIENT)

    def say(self, word: bytes, core: TalkingCore | None = None) -> TalkingCore:
        """Say something, on a new connection or on one that is there."""
        if core is None:
            core = self.calling.connect((SERVER, 7))
        else:
            self.calling.active.append(core)
        core.say(word)
        self.client.wake()
        return core


def test_a_word_and_its_echo_take_the_time_that_they_travel() -> None:
    world = World()
    core = world.say(b"hello")
    world.simulation.run_until(lambda: core.heard == b"hello")
    assert world.simulation.now == 2 * DELAY
    assert world.serving.remotes == [(CLIENT, 49152)]


def test_each_connection_has_a_port_of_its_own() -> None:
    world = World()
    for _ in range(3):
        world.say(b"x")
    world.simulation.run()
    assert [port for _, port in world.serving.remotes] == [49152, 49153, 49154]


@pytest.mark.parametrize("address", [(SERVER, 9), (OTHER, 7)])
def test_a_port_or_a_host_that_is_not_there_refuses(address: tuple[str, int]) -> None:
    world = World()
    core = world.calling.connect(address)
    world.client.wake()
    world.simulation.run_until(lambda: core.ends == ["Connection refused"])
    assert world.simulation.now == 2 * DELAY


def test_an_address_is_had_once() -> None:
    world = World()
    with pytest.raises(TransportError, match=f"{SERVER} is taken"):
        world.world.attach(TalkingEndpoint(), SERVER)


def test_a_cut_loses_every_connection_of_a_host_at_both_ends() -> None:
    world = World()
    cores = [world.say(b"x") for _ in range(3)]
    world.simulation.run()
    world.world.cut(SERVER)
    world.simulation.run()
    assert [core.ends for core in (*cores, *world.serving.cores)] == [["Connection reset by peer"]] * 6
    assert world.client.streams.connection_count == world.server.streams.connection_count == 0
    again = world.say(b"again")
    world.simulation.run()
    assert again.heard == b"again"


def test_a_cut_leaves_the_connections_of_others_alone() -> None:
    world = World()
    other = TalkingEndpoint()
    world.world.attach(other, OTHER)
    world.say(b"x")
    core = other.connect((SERVER, 7))
    core.say(b"other")
    world.simulation.run()
    world.world.cut(CLIENT)
    world.simulation.run()
    assert core.ends == []
    assert core.heard == b"other"


def test_a_host_that_is_gone_answers_nothing_and_its_address_is_free() -> None:
    world = World()
    core = world.say(b"x")
    world.simulation.run()
    world.world.detach(world.server)
    world.simulation.run()
    assert core.ends == ["Connection reset by peer"]
    assert world.serving.cores[0].ends == []
    late = world.say(b"late")
    world.simulation.run()
    assert late.ends == ["Connection refused"]
    fresh = TalkingEndpoint(echoes=True)
    world.world.attach(fresh, SERVER, ports=[7])
    again = world.say(b"again")
    world.simulation.run()
    assert again.heard == b"again"


def test_silence_holds_everything_back_and_healing_brings_it_in_order() -> None:
    world = World()
    core = world.say(b"before ")
    world.simulation.run()
    world.world.silence(CLIENT, SERVER)
    for word in (b"one ", b"two ", b"three "):
        world.say(word, core)
        world.simulation.run_for(10 * DELAY)
    silent = world.say(b"connects when it can")
    world.simulation.run_for(100 * DELAY)
    assert core.heard == b"before "
    assert len(world.serving.cores) == 1
    world.world.heal(SERVER, CLIENT)
    world.say(b"after", core)
    world.simulation.run()
    assert core.heard == b"before one two three after"
    assert silent.heard == b"connects when it can"


def test_silence_between_two_hosts_is_not_silence_for_a_third() -> None:
    world = World()
    other = TalkingEndpoint()
    world.world.attach(other, OTHER)
    world.world.silence(CLIENT, SERVER)
    core = other.connect((SERVER, 7))
    core.say(b"heard")
    world.simulation.run()
    assert core.heard == b"heard"
    world.world.silence(OTHER, SERVER)
    world.world.heal(CLIENT, SERVER)
    late = world.say(b"now")
    world.simulation.run()
    assert late.heard == b"now"


def test_more_than_a_connection_holds_goes_through_bit_by_bit() -> None:
    world = World(capacity_bytes=100)
    word = bytes(range(256)) * 20
    core = world.say(word)
    world.simulation.run()
    assert core.heard == word
    assert world.simulation.now > len(word) // 100 * DELAY


def test_a_seed_decides_where_reading_cuts() -> None:
    def run(seed: int) -> tuple[list[int], int]:
        world = World(seed, cuts=True)
        core = world.say(bytes(10_000))
        world.simulation.run()
        assert len(core.heard) == 10_000
        return core.pieces, world.simulation.steps

    assert run(5) == run(5)
    assert run(5) != run(6)


def test_a_lost_end_says_so_for_ever() -> None:
    rig = WorldRig(cuts=False)
    assert isinstance(rig.near, WorldStream)
    rig.near.send([b"on its way"])
    rig.near.lose("Connection reset by peer")
    assert rig.near.send([b"more"]) == 4
    assert rig.near.receive_into([memoryview(bytearray(1))]) == 0
    assert rig.near.failure == "Connection reset by peer"
    assert rig.drain(rig.far) == b"on its way"


def test_nobody_waits_in_virtual_time() -> None:
    rig = WorldRig(cuts=False)
    for wait in (rig.near.wait_readable, rig.near.wait_writable):
        with pytest.raises(TransportError, match="virtual time does not wait"):
            wait().send(None)
