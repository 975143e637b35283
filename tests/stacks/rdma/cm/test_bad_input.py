"""Bytes that no honest peer sends: nothing raises, connections stand, and what it was is counted."""

import random
from collections.abc import Callable

import pytest

from stacks.rdma.cm import ConnectionManager, ConnectionParameters, ConnectionState
from tests.stacks.rdma.cm.rig import ACTIVE, MS, PASSIVE, SERVICE, Rig
from wire.ibcm import (
    CmApr,
    CmDrep,
    CmDreq,
    CmLap,
    CmMessage,
    CmMra,
    CmRej,
    CmRep,
    CmReq,
    CmRtu,
    CmSidrRep,
    CmSidrReq,
    build_mad,
)

KINDS = [CmReq, CmRep, CmRtu, CmMra, CmRej, CmDreq, CmDrep, CmSidrReq, CmSidrRep, CmLap, CmApr]
MUTATIONS = 200


def message(kind: type[CmMessage], local: int, remote: int) -> bytes:
    """A message of one kind, with IDs where it has them."""
    if kind is CmReq:
        return build_mad(CmReq(local_comm_id=local, service_id=SERVICE, local_qpn=5, path_mtu=3), 1)
    if kind in (CmSidrReq, CmSidrRep):
        return build_mad(kind(), 1)
    return build_mad(kind(local_comm_id=local, remote_comm_id=remote), 1)  # type: ignore[call-arg]


def passive_in(state: ConnectionState) -> tuple[Rig, int, int]:
    """A rig whose passive side has a connection in `state`, and its IDs as the active side writes them."""
    rig = Rig()
    if state is ConnectionState.ESTABLISHED:
        active, passive = rig.connected()
    else:
        rig.owners[PASSIVE] = lambda event: None
        active = rig.connect()
        rig.run(2 * MS)
        passive = rig.requested()
        if state is ConnectionState.REP_SENT:
            rig.passive.accept(passive, parameters=rig.parameters())
    assert passive.state is state
    return rig, active.local_comm_id, passive.local_comm_id


STATES = [ConnectionState.REQ_RCVD, ConnectionState.REP_SENT, ConnectionState.ESTABLISHED]


@pytest.mark.parametrize("kind", KINDS)
def test_every_truncation_is_counted_as_malformed(kind: type[CmMessage]) -> None:
    rig, local, remote = passive_in(ConnectionState.ESTABLISHED)
    whole = message(kind, local, remote)
    for length in range(len(whole)):
        rig.passive.handle_mad(ACTIVE, memoryview(whole)[:length], rig.now)
    assert rig.passive.counters.cm_malformed == len(whole)
    assert len(rig.passive) == 1


def sweep(mutate: Callable[[random.Random, bytearray], None], count: int) -> None:
    """Mutate `count` messages of each kind against a connection in each state; then others still connect."""
    rng = random.Random(7)
    for state in STATES:
        rig, local, remote = passive_in(state)
        for kind in KINDS:
            original = message(kind, local, remote)
            for _ in range(count):
                mad = bytearray(original)
                mutate(rng, mad)
                rig.passive.handle_mad(ACTIVE, memoryview(mad), rig.now)
                while rig.passive.poll_mad(rig.now) is not None:
                    pass
        rig.active = ConnectionManager(ACTIVE, rng=random.Random(8))
        rig.owners[PASSIVE] = lambda _event: None
        rig.passive.listen(0xABCD)
        connection = rig.active.connect(PASSIVE, 0xABCD, parameters=ConnectionParameters(qpn=0xFFFF01))
        rig.run(2 * MS)
        rig.passive.accept(rig.requested(), parameters=ConnectionParameters(qpn=0xFFFF02))
        rig.run(5 * MS)
        assert connection.state is ConnectionState.ESTABLISHED


def flip_bits(rng: random.Random, mad: bytearray) -> None:
    for _ in range(1 + int(rng.random() * 8)):
        mad[int(rng.random() * len(mad))] ^= 1 << int(rng.random() * 8)


def scramble_body(rng: random.Random, mad: bytearray) -> None:
    start = 24 + 8 * int(rng.random() * 2)
    mad[start:] = rng.randbytes(len(mad) - start)


@pytest.mark.parametrize("mutate", [flip_bits, scramble_body])
def test_mutated_messages_never_raise(mutate: Callable[[random.Random, bytearray], None]) -> None:
    sweep(mutate, MUTATIONS)


@pytest.mark.long
@pytest.mark.parametrize("mutate", [flip_bits, scramble_body])
def test_many_mutated_messages_never_raise(mutate: Callable[[random.Random, bytearray], None]) -> None:
    sweep(mutate, 10_000)


def test_random_bytes_are_malformed() -> None:
    rig, _, _ = passive_in(ConnectionState.ESTABLISHED)
    rng = random.Random(3)
    for _ in range(500):
        rig.passive.handle_mad(ACTIVE, memoryview(rng.randbytes(256)), rig.now)
    assert rig.passive.counters.cm_malformed == 500


def test_messages_of_a_passive_side_are_dropped_by_one() -> None:
    rig, local, remote = passive_in(ConnectionState.ESTABLISHED)
    for kind in (CmRep, CmMra):
        rig.passive.handle_mad(ACTIVE, memoryview(message(kind, local, remote)), rig.now)
    assert rig.passive.counters.cm_unexpected == 2
    assert len(rig.passive) == 1
