"""NVMe over QUIC in virtual time: every block verified on paths that lose and reorder, and how connections end."""

from __future__ import annotations

import hashlib
import random

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig, TcpTargetConfig
from stacks.nvme.host import DiscoveredSubsystem, HostConfig, read_discovery_log
from stacks.nvme.stores import MemoryStore
from stacks.nvme.target import PortAddress
from stacks.quic.configuration import Configuration
from stacks.quic.connection import ConnectionState
from stacks.quic.tls import make_self_signed
from stacks.runtime.errors import StackError
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.quic_rig import EPOCH_NS, QuicRig
from tests.stacks.nvme.transfers import SECOND, TARGET
from tests.stacks.nvme.workload import BLOCKS, Workload
from transports.simulation import Impairments
from wire.nvme.kinds import TcpDigest, TransportType
from wire.nvme.opcodes import DISCOVERY_NQN

BUFFERS = 4096 + 256 + 32
PATHS = {
    "clean": Impairments(delay_ns=50_000),
    "slow": Impairments(delay_ns=2_000_000, rate_bps=200_000_000, queue_bytes=200_000),
    "bad": Impairments(delay_ns=500_000, loss=0.02, duplication=0.01, reordering=0.02, corruption=0.01),
}


def run(path: str, seed: int, *, digests: int = 0, io_queues: int = 2) -> str:
    """A run of the workload; a digest of all that can be seen of it."""
    rig = QuicRig(
        MemoryStore(BLOCKS * 4096),
        seed=seed,
        impairments=PATHS[path],
        initiator=TcpInitiatorConfig(digests=digests),
        target=TcpTargetConfig(in_capsule_bytes=(0, 8192)[seed % 2]),
    )
    namespace = rig.namespace(io_queues=io_queues)
    workload = Workload(rig, namespace, seed)
    for _ in range(2):
        workload.round(12)
    workload.verify()
    host = rig.initiator.hosts[0]
    host.stop(rig.simulation.now)
    rig.run_until(lambda: host.is_closed and rig.initiator.is_quiet)
    rig.run_for(3 * SECOND)
    assert host.failure == ""
    assert rig.quic_target.queue_count == 0
    assert rig.quic_target.port.pool.free_buffers == BUFFERS
    assert rig.quic_target.counters.terminations_sent == 0
    for carrier in (rig.carrier, rig.target_carrier):
        assert carrier.link_count == 0
        assert carrier.connections == ()
    seen = [rig.simulation.now, rig.simulation.steps, rig.quic_target.counters.snapshot()]
    return hashlib.sha256(repr(seen).encode() + workload.expected).hexdigest()


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_every_block_is_right_and_a_seed_decides_everything(path: str) -> None:
    assert run(path, 3) == run(path, 3)


def test_digests_are_those_of_nvme_tcp() -> None:
    run("bad", 4, digests=int(TcpDigest.HEADER | TcpDigest.DATA))


def test_a_queue_pair_is_a_stream_and_one_connection_has_all_of_them() -> None:
    rig = QuicRig()
    rig.namespace(io_queues=3)
    rig.namespace(io_queues=1)
    (connection,) = rig.carrier.connections
    (served,) = rig.target_carrier.connections
    # Client-initiated bidirectional streams, RFC 9000 2.1: an admin queue and three, an admin queue and one.
    assert list(connection.streams.ids()) == list(served.streams.ids()) == [0, 4, 8, 12, 16, 20]
    assert rig.quic_target.queue_count == rig.carrier.link_count == 6


def test_a_lost_path_is_noticed_and_a_new_connection_serves_what_follows() -> None:
    rig = QuicRig(base=Configuration(unix_epoch_ns=EPOCH_NS, is_verifying=False, max_idle_timeout_ns=3 * SECOND))
    host = rig.initiator.connect(TARGET, HostConfig(nqn=NQN, keep_alive_ms=0), rig.simulation.now)
    rig.run_until(lambda: host.is_live)
    rig.network.detach(rig.target_host)
    rig.run_until(lambda: host.is_closed, timeout_ns=60 * SECOND)
    assert "nothing was heard for 3 s" in host.failure
    rig.target_carrier, rig.target_host = rig.serve(rig.quic_target)
    assert rig.connect().is_live


def test_a_connection_that_is_idle_and_well_stays() -> None:
    rig = QuicRig()
    namespace = rig.namespace(keep_alive_ms=0)
    rig.run_for(300 * SECOND)
    assert rig.read(namespace, 0, 1) == bytes(4096)
    assert len(rig.carrier.endpoint.connections) == 1


def test_nobody_at_the_address_is_said_so() -> None:
    rig = QuicRig()
    host = rig.connect(address="192.0.2.99")
    assert "no answer from 192.0.2.99:4420" in host.failure


def test_more_queues_than_the_target_takes_are_refused_with_a_reason() -> None:
    rig = QuicRig(target=TcpTargetConfig(connections_max=2))
    assert rig.connect().is_live
    host = rig.connect()
    assert "it refused the queue: there are too many" in host.failure


def test_queues_above_the_limit_of_streams_wait_and_fail_in_time() -> None:
    rig = QuicRig(streams_max=2)
    assert rig.connect().is_live
    host = rig.connect()
    assert host.is_closed
    assert "no answer from" in host.failure


def test_a_target_that_drains_ends_each_queue_in_order() -> None:
    rig = QuicRig()
    host = rig.connect()
    rig.quic_target.drain()
    rig.target_host.wake()
    rig.run_until(lambda: rig.quic_target.is_drained and host.is_closed)
    assert "closed the connection" in host.failure or "disconnect" in host.failure
    rig.run_for(3 * SECOND)
    assert rig.carrier.connections == ()


def test_an_initiator_that_closes_its_endpoint_frees_the_target_at_once() -> None:
    rig = QuicRig()
    rig.namespace()
    rig.carrier.close(rig.simulation.now)
    rig.initiator_host.wake()
    rig.run_until(lambda: rig.quic_target.queue_count == 0, timeout_ns=SECOND)
    assert all(each.state >= ConnectionState.CLOSING for each in rig.target_carrier.endpoint.connections)


def test_a_verifying_initiator_refuses_a_certificate_of_somebody_else() -> None:
    chain, _ = make_self_signed(["nvme.invalid"], random.Random(99), unix_ns=EPOCH_NS)
    rig = QuicRig(
        client=Configuration(unix_epoch_ns=EPOCH_NS, trusted_certificates=chain, server_name="nvme.invalid")
    )
    host = rig.connect()
    assert host.is_closed
    assert "certificate" in host.failure


def test_who_came_over_quic_finds_the_port_and_nobody_else_does() -> None:
    rig = QuicRig()

    def found(host_port: int) -> list[DiscoveredSubsystem]:
        entries: list[DiscoveredSubsystem] = []
        outcome: list[StackError | None] = []
        host = rig.connect(HostConfig(nqn=DISCOVERY_NQN), port=host_port)
        host.run(read_discovery_log(host, entries), outcome.append, rig.simulation.now)
        rig.run_until(lambda: bool(outcome))
        assert outcome == [None]
        return [entry for entry in entries if entry.kind == "nvm"]

    (entry,) = found(4420)
    assert (entry.transport, entry.host, entry.nqn) == ("quic", TARGET, NQN)
    assert entry.url == f"nvme+quic://{TARGET}:4420/{NQN}"
    rig.quic_target.port.address = PortAddress(TransportType.TCP, TARGET, 4420)
    other = rig.target.add_port(
        rig.quic_target.port.pool, address=PortAddress(TransportType.QUIC, TARGET, 4421), portid=9
    )
    assert [entry.transport for entry in found(4420)] == ["tcp"]
    rig.target.remove_port(other)
