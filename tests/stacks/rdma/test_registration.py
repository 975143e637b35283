"""Registering: addresses, registering again, device memory (IBTA 10.6, 11.2.8)."""

from __future__ import annotations

import random
import sys
from errno import EBUSY, ENOMEM, EOPNOTSUPP

import pytest

from stacks.dma import Dma, FlatDma, ScatteredDma
from stacks.rdma import Access, Device, DeviceConfig, MemoryConfig, WrOpcode
from stacks.runtime import LocalError
from tests.stacks.rdma.hand import ACK, FIRST_PSN, MTU, NAK, HandRig
from tests.stacks.rdma.rig import FULL_ACCESS, Rig
from wire.roce import AtomicAckEth, AtomicEth, Opcode, Reth

DMAS = {"flat": FlatDma, "scattered": ScatteredDma}
each_way = pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
each_memory = pytest.mark.parametrize("memory", DMAS)


def write(rig: HandRig, address: int, rkey: int, data: bytes = b"abcd") -> list[tuple[int, int]]:
    """What the device answers to a WRITE."""
    rig.request(Opcode.RC_WRITE_ONLY, Reth(va=address, rkey=rkey, length=len(data)), payload=data)
    return rig.answers()


@each_way
@each_memory
@pytest.mark.parametrize("address", [0x7FFF_0000_1000, 3, (1 << 64) - 20_000])
def test_a_region_begins_at_the_address_that_was_asked_for(address: int, memory: str, shortcuts: bool) -> None:
    dma: Dma = DMAS[memory]()
    rig = Rig(shortcuts=shortcuts, dmas=(None, dma))
    left, right = rig.ends
    content = random.Random(1).randbytes(20_000)
    left.memory[:20_000] = content
    mr = right.pd.reg_mr(bytearray(20_000), FULL_ACCESS, address=address)
    assert mr.address == address
    left.send(1, WrOpcode.RDMA_WRITE, 0, 20_000, remote_address=address, rkey=mr.rkey)
    left.send(2, WrOpcode.RDMA_READ, 30_000, 15_000, remote_address=address + 5_000, rkey=mr.rkey)
    rig.run()
    assert [wc.status.name for wc in left.completions] == ["SUCCESS"] * 2
    assert left.memory[30_000:45_000] == content[5_000:]


@each_memory
def test_a_zero_based_region_counts_from_0_for_both_sides(memory: str) -> None:
    dma: Dma = DMAS[memory]()
    rig = HandRig(dma=dma, timeout=0)
    mr = rig.end.pd.reg_mr(bytearray(5000), FULL_ACCESS | Access.ZERO_BASED)
    assert (mr.address, mr.sge(8, 4).address) == (0, 8)
    assert write(rig, 4094, mr.rkey) == [(ACK, FIRST_PSN)]
    rig.request(Opcode.RC_READ_REQUEST, Reth(va=4093, rkey=mr.rkey, length=6))
    assert [packet.payload for packet in rig.received()] == [b"\0abcd\0"]
    assert write(rig, 4998, mr.rkey) == [(NAK | 2, FIRST_PSN + 2 & 0xFFFFFF)]


@pytest.mark.parametrize(
    ("access", "address", "what"),
    [
        (FULL_ACCESS, (1 << 64) - 7, "do not lie in 64 bits"),
        (FULL_ACCESS, -1, "do not lie in 64 bits"),
        (FULL_ACCESS | Access.ZERO_BASED, 8, "begins at address 0"),
        (1 << 12, None, "0x1000 is no access right"),
    ],
)
def test_an_address_or_a_right_that_cannot_be_is_a_local_error(access: int, address: int | None, what: str) -> None:
    pd = Device("192.0.2.1").alloc_pd()
    buffer = bytearray(8)
    with pytest.raises(LocalError, match=what):
        pd.reg_mr(buffer, access, address=address)
    # Nothing holds it.
    buffer.append(0)


def test_every_right_of_libibverbs_is_taken() -> None:
    pd = Device("192.0.2.1").alloc_pd()
    for right in (Access.MW_BIND, Access.ON_DEMAND, Access.HUGETLB, Access.FLUSH_GLOBAL, Access.RELAXED_ORDERING):
        assert pd.reg_mr(bytearray(8), FULL_ACCESS | right).access & right


# Registering again (IBTA 11.2.8.5)


def test_registering_again_changes_the_rights() -> None:
    rig = HandRig(timeout=0)
    mr = rig.end.mr
    mr.rereg(access=Access.LOCAL_WRITE | Access.REMOTE_READ)
    rig.request(Opcode.RC_READ_REQUEST, Reth(va=mr.address, rkey=mr.rkey, length=4))
    assert len(rig.received()) == 1
    assert write(rig, mr.address, mr.rkey) == [(NAK | 2, FIRST_PSN + 1)]


def test_registering_again_changes_the_memory_and_gives_the_old_back() -> None:
    rig = HandRig(timeout=0)
    old, new = bytearray(64), bytearray(128)
    mr = rig.end.pd.reg_mr(old, FULL_ACCESS)
    key = mr.rkey
    mr.rereg(buffer=new)
    assert (mr.rkey, mr.length) == (key, 128)
    old.append(1)
    assert write(rig, mr.address + 100, mr.rkey) == [(ACK, FIRST_PSN)]
    assert new[100:104] == b"abcd"
    mr.dereg()
    new.append(1)


def test_registering_again_changes_the_domain() -> None:
    rig = HandRig(timeout=0)
    end = rig.end
    other = end.device.alloc_pd()
    mr = end.pd.reg_mr(bytearray(8), FULL_ACCESS)
    mr.rereg(pd=other)
    assert (mr.pd, other.objects, mr in end.pd.objects) == (other, {mr}, False)
    assert write(rig, mr.address, mr.rkey) == [(NAK | 2, FIRST_PSN)]


@each_memory
def test_registering_again_makes_it_zero_based_and_back(memory: str) -> None:
    rig = HandRig(dma=DMAS[memory](), timeout=0)
    mr = rig.end.mr
    address = mr.address
    mr.rereg(access=FULL_ACCESS | Access.ZERO_BASED)
    assert write(rig, 4, mr.rkey) == [(ACK, FIRST_PSN)]
    mr.rereg(access=FULL_ACCESS)
    assert mr.address == address
    rig.request(Opcode.RC_READ_REQUEST, Reth(va=address + 4, rkey=mr.rkey, length=4))
    assert [packet.payload for packet in rig.received()] == [b"abcd"]


def test_what_cannot_be_registered_again_stays_as_it_was() -> None:
    pd = Device("192.0.2.1").alloc_pd()
    mr = pd.reg_mr(bytes(8), Access.REMOTE_READ)
    for change, what in (
        ({"access": Access.REMOTE_WRITE}, "need LOCAL_WRITE"),
        ({"access": FULL_ACCESS}, "registered for reading"),
        ({"buffer": bytes(8), "access": FULL_ACCESS}, "read-only"),
    ):
        with pytest.raises(LocalError, match=what):
            mr.rereg(**change)  # type: ignore[arg-type]
        assert (mr.is_valid, mr.access) == (True, Access.REMOTE_READ)
    mr.dereg()
    with pytest.raises(LocalError, match="was deregistered"):
        mr.rereg(access=0)
    assert pd.objects == set()


def test_an_implicit_region_is_registered_again_with_other_rights() -> None:
    rig = HandRig(timeout=0)
    mr = rig.end.pd.reg_odp(Access.LOCAL_WRITE)
    mr.rereg(access=FULL_ACCESS | Access.ON_DEMAND)
    assert write(rig, rig.end.mr.address, mr.rkey) == [(ACK, FIRST_PSN)]
    assert rig.end.memory[:4] == b"abcd"


@each_way
def test_a_write_in_progress_ends_when_its_region_is_registered_again(shortcuts: bool) -> None:
    rig = HandRig(shortcuts=shortcuts, timeout=0)
    mr = rig.end.pd.reg_mr(bytearray(4 * MTU), FULL_ACCESS)
    header = Reth(va=mr.address, rkey=mr.rkey, length=3 * MTU)
    rig.request(Opcode.RC_WRITE_FIRST, header, payload=b"a" * MTU, ack=False)
    new = bytearray(8)
    mr.rereg(buffer=new)
    rig.request(Opcode.RC_WRITE_MIDDLE, payload=b"b" * MTU)
    assert rig.answers() == [(NAK | 2, FIRST_PSN + 1)]
    assert new == bytes(8)


# Device memory


@each_way
def test_peers_read_write_and_count_in_device_memory(shortcuts: bool) -> None:
    rig = Rig(shortcuts=shortcuts, dmas=(None, ScatteredDma()))
    left, right = rig.ends
    dm = right.device.alloc_dm(10_000)
    mr = right.pd.reg_device_memory(dm, 1000, 9000, FULL_ACCESS | Access.ZERO_BASED)
    left.memory[:9000] = random.Random(2).randbytes(9000)
    left.send(1, WrOpcode.RDMA_WRITE, 0, 9000, remote_address=0, rkey=mr.rkey)
    left.send(2, WrOpcode.RDMA_READ, 9000, 8000, remote_address=1000, rkey=mr.rkey)
    rig.run()
    assert dm.copy_from(1000, 9000) == left.memory[:9000]
    assert left.memory[9000:17_000] == left.memory[1000:9000]
    dm.copy_to((41).to_bytes(8, sys.byteorder), 1008)
    left.send(3, WrOpcode.ATOMIC_FETCH_AND_ADD, 0, 8, remote_address=8, rkey=mr.rkey, compare_add=1)
    rig.run()
    assert {wc.status.name for wc in left.completions} == {"SUCCESS"}
    assert int.from_bytes(left.memory[:8], sys.byteorder) == 41
    assert int.from_bytes(dm.copy_from(1008, 8), sys.byteorder) == 42


def test_an_atomic_beyond_device_memory_is_an_access_error() -> None:
    rig = HandRig(timeout=0)
    dm = rig.end.device.alloc_dm(16)
    mr = rig.end.pd.reg_device_memory(dm, 0, 16, FULL_ACCESS | Access.ZERO_BASED)
    rig.request(Opcode.RC_FETCH_ADD, AtomicEth(va=8, rkey=mr.rkey, swap_add=1))
    assert rig.received()[0].find(AtomicAckEth) is not None
    rig.request(Opcode.RC_FETCH_ADD, AtomicEth(va=16, rkey=mr.rkey, swap_add=1))
    assert rig.answers() == [(NAK | 2, FIRST_PSN + 1)]


def test_device_memory_ends_and_comes_back() -> None:
    device = Device("192.0.2.1", config=DeviceConfig(memory=MemoryConfig(device_memory_bytes=100)))
    first, second = device.alloc_dm(60), device.alloc_dm(40)
    with pytest.raises(LocalError, match="1 bytes of device memory, but 0 are left") as caught:
        device.alloc_dm(1)
    assert caught.value.errno == ENOMEM
    mr = device.alloc_pd().reg_device_memory(first, 0, 60, Access.ZERO_BASED)
    mr.rereg(access=FULL_ACCESS | Access.ZERO_BASED)
    with pytest.raises(LocalError, match="while a region over it") as caught:
        first.free()
    assert caught.value.errno == EBUSY
    mr.dereg()
    first.free()
    first.free()
    with pytest.raises(LocalError, match="was freed"):
        first.copy_from(0, 1)
    assert device.alloc_dm(60).copy_from(0, 60) == bytes(60)
    second.free()


def test_device_memory_that_is_not_there_or_not_asked_for_rightly_is_a_local_error() -> None:
    device = Device("192.0.2.1", config=DeviceConfig(memory=MemoryConfig(device_memory_bytes=0)))
    with pytest.raises(LocalError, match="no memory of its own") as caught:
        device.alloc_dm(8)
    assert caught.value.errno == EOPNOTSUPP
    device = Device("192.0.2.1")
    dm, pd = device.alloc_dm(8), device.alloc_pd()
    for length in (0, -1):
        with pytest.raises(LocalError, match="are left"):
            device.alloc_dm(length)
    for offset, length in ((0, 9), (-1, 4), (4, -1)):
        with pytest.raises(LocalError, match="not inside 8 of device memory"):
            dm.copy_from(offset, length)
    with pytest.raises(LocalError, match="zero-based"):
        pd.reg_device_memory(dm, 0, 8, FULL_ACCESS)
    with pytest.raises(LocalError, match="not inside"):
        pd.reg_device_memory(dm, 0, 9, Access.ZERO_BASED)
