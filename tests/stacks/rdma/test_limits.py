"""What a device has room for, what its port is, and what runs out on demand (IBTA 11.2.2.2)."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import fields
from ipaddress import IPv6Address

import pytest

from stacks.rdma import (
    Access,
    AddressVector,
    Device,
    DeviceConfig,
    DeviceLimits,
    PortState,
    QpCapacity,
    RecvWr,
    WrOpcode,
)
from stacks.rdma.cm import EventChannel, RdmaId
from stacks.rdma.exhaustion import CALLS
from stacks.rdma.memory import MwType
from stacks.runtime import LocalError
from tests.stacks.rdma.rig import FULL_ACCESS, Rig


def device_with(**limits: int) -> Device:
    """A device that has room for so many."""
    return Device("192.0.2.1", config=DeviceConfig(limits=DeviceLimits(**limits)), rng=random.Random(1))


def queue_pair(device: Device, **capacity: int) -> object:
    cq = device.create_cq(1)
    return device.alloc_pd().create_qp(send_cq=cq, recv_cq=cq, capacity=QpCapacity(**capacity))


MAKES: dict[str, Callable[[Device], object]] = {
    "max_pd": lambda device: device.alloc_pd(),
    "max_cq": lambda device: device.create_cq(1),
    "max_qp": queue_pair,
    "max_srq": lambda device: device.alloc_pd().create_srq(max_wr=1),
    "max_xrcd": lambda device: device.open_xrcd(),
    "max_mr": lambda device: device.alloc_pd().reg_mr(bytearray(8)),
    "max_mw": lambda device: device.alloc_pd().alloc_mw(MwType.TYPE_1),
}


@pytest.mark.parametrize("name", MAKES)
def test_of_each_kind_there_are_as_many_as_the_limit_says(name: str) -> None:
    device = device_with(**{name: 2})
    kept = [MAKES[name](device) for _ in range(2)]
    with pytest.raises(LocalError, match=rf"the device has no more than 2 \({name}\)") as caught:
        MAKES[name](device)
    assert caught.value.errno == errno.ENOMEM
    assert len(kept) == 2


def test_what_was_given_back_makes_room() -> None:
    device = device_with(max_qp=1, max_mr=1, max_srq=1)
    pd, cq = device.alloc_pd(), device.create_cq(1)
    for _ in range(2):
        pd.create_qp(send_cq=cq, recv_cq=cq).destroy()
        pd.reg_mr(bytearray(8)).dereg()
        pd.create_srq(max_wr=1).destroy()


@pytest.mark.parametrize(
    ("limit", "make"),
    [
        ("max_cqe", lambda device: device.create_cq(9)),
        ("max_cqe", lambda device: device.create_cq(1).resize(9)),
        ("max_qp_wr", lambda device: queue_pair(device, max_send_wr=9, max_recv_wr=1)),
        ("max_qp_wr", lambda device: queue_pair(device, max_send_wr=1, max_recv_wr=9)),
        ("max_sge", lambda device: queue_pair(device, max_send_sge=9, max_recv_sge=1)),
        ("max_sge", lambda device: queue_pair(device, max_send_sge=1, max_recv_sge=-1)),
        ("max_srq_wr", lambda device: device.alloc_pd().create_srq(max_wr=9)),
        ("max_srq_wr", lambda device: device.alloc_pd().create_srq(max_wr=1).modify(max_wr=9)),
        ("max_srq_sge", lambda device: device.alloc_pd().create_srq(max_wr=1, max_sge=9)),
    ],
)
def test_sizes_beyond_the_device_are_refused_by_name(limit: str, make: Callable[[Device], object]) -> None:
    device = device_with(**{limit: 8})
    with pytest.raises(LocalError, match=rf"must be 0 to 8 \({limit}\), not (9|-1)") as caught:
        make(device)
    assert caught.value.errno == errno.EINVAL
    assert device.qps == {}
    assert device.srqs.keys() <= {srq.number for srq in device.srqs.values()}


def test_a_query_tells_the_limits_that_the_device_keeps() -> None:
    device = device_with(max_qp=3)
    assert device.query().max_qp == 3
    assert {field.name for field in fields(DeviceLimits)} >= {"max_mr", "max_cqe", "max_ah", "local_ca_ack_delay"}


@pytest.mark.parametrize(
    ("address", "gid"), [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8::7", "2001:db8::7")], ids=["IPv4", "IPv6"]
)
def test_the_first_gid_is_the_address_of_the_device(address: str, gid: str) -> None:
    """IBTA A17.4.2."""
    device = Device(address, rng=random.Random(1))
    assert device.query_gid(0) == IPv6Address(gid)
    assert device.query_gid(1) == IPv6Address(0)
    port = device.query_port()
    assert (port.state, port.active_mtu, port.max_mtu) == (PortState.ACTIVE, device.config.cm.max_path_mtu, 4096)
    assert (port.gid_table_length, port.pkey_table_length, port.link_layer, port.lid) == (8, 1, "Ethernet", 0)
    assert device.query_pkey(0) == 0xFFFF
    for wrong in (lambda: device.query_gid(8), lambda: device.query_gid(-1), lambda: device.query_pkey(1)):
        with pytest.raises(LocalError, match="and no "):
            wrong()


def test_a_gid_is_made_of_an_address_and_the_first_one_stays() -> None:
    device = device_with()
    with pytest.raises(LocalError, match="GID 0 is that of the device's address"):
        device.set_gid(0, "192.0.2.9")
    with pytest.raises(LocalError, match="numeric form, not 'host'"):
        device.set_gid(1, "host")
    device.set_gid(1, "192.0.2.9")
    assert device.query_gid(1) == IPv6Address("::ffff:192.0.2.9")


EXHAUSTIBLE: dict[str, Callable[[Device], object]] = {
    "alloc_pd": MAKES["max_pd"],
    "create_cq": MAKES["max_cq"],
    "create_qp": MAKES["max_qp"],
    "create_srq": MAKES["max_srq"],
    "open_xrcd": MAKES["max_xrcd"],
    "reg_mr": MAKES["max_mr"],
    "alloc_mw": MAKES["max_mw"],
    "alloc_dm": lambda device: device.alloc_dm(64),
    "create_ah": lambda device: device.alloc_pd().create_ah(AddressVector(destination="192.0.2.2")),
    "cm_id": lambda device: RdmaId(EventChannel(), device.cm),
}


@pytest.mark.parametrize("call", EXHAUSTIBLE)
def test_every_call_that_makes_something_fails_on_demand_and_once(call: str) -> None:
    device, make = device_with(), EXHAUSTIBLE[call]
    rule = device.exhaust(call, nth=3, errno=errno.EAGAIN)
    for _ in range(2):
        make(device)
    with pytest.raises(LocalError, match=f"{call} failed on demand, call 3: Resource temporarily") as caught:
        make(device)
    assert caught.value.errno == errno.EAGAIN
    make(device)
    assert (rule.has_fired, rule.seen) == (True, 3)
    assert device.exhausted == [rule]


def test_every_way_to_get_a_region_counts_as_a_registration() -> None:
    device = device_with()
    pd, dm = device.alloc_pd(), device.alloc_dm(64)
    makes = (
        pd.reg_odp,
        lambda: pd.reg_device_memory(dm, 0, 64, Access.LOCAL_WRITE | Access.ZERO_BASED),
        lambda: pd.alloc_fast_mr(2),
    )
    for make in makes:
        device.exhaust("reg_mr")
        with pytest.raises(LocalError, match="reg_mr failed on demand"):
            make()
        make()


def test_two_rules_for_one_call_count_apart() -> None:
    device = device_with()
    rules = [device.exhaust("alloc_pd", nth=nth) for nth in (2, 1)]
    for message in ("call 1", "call 2"):
        with pytest.raises(LocalError, match=message):
            device.alloc_pd()
    device.alloc_pd()
    assert [rule.has_fired for rule in rules] == [True, True]


@pytest.mark.parametrize(("call", "nth", "message"), [("fork", 1, "'fork' cannot run out"), ("reg_mr", 0, "from 1")])
def test_a_rule_that_makes_no_sense_is_refused(call: str, nth: int, message: str) -> None:
    with pytest.raises(LocalError, match=message):
        device_with().exhaust(call, nth=nth)


def test_what_can_run_out_is_what_the_tests_reach() -> None:
    assert set(CALLS) == {*EXHAUSTIBLE, "post_send", "post_recv"}


@pytest.mark.parametrize("shortcuts", [True, False], ids=["shortcuts", "per packet"])
def test_posting_fails_on_demand_on_any_queue_pair_and_then_goes_on(shortcuts: bool) -> None:
    rig = Rig(shortcuts=shortcuts)
    left, right = rig.ends
    for end, call in ((left, "post_send"), (right, "post_recv")):
        end.device.exhaust(call, nth=2)
    right.recv(0, 0, 8)
    with pytest.raises(LocalError, match="post_recv failed on demand, call 2: Cannot allocate memory"):
        right.recv(1, 8, 8)
    right.recv(2, 16, 8)
    left.send(0, WrOpcode.SEND, 0, 8)
    with pytest.raises(LocalError, match="post_send failed on demand, call 2"):
        left.send(1, WrOpcode.SEND, 0, 8)
    left.send(2, WrOpcode.SEND, 0, 8)
    rig.run(1_000_000)
    assert [[wc.wr_id for wc in end.completions] for end in rig.ends] == [[0, 2], [0, 2]]


def test_a_watched_queue_is_still_full_when_it_is() -> None:
    rig = Rig(capacity=QpCapacity(max_send_wr=1, max_recv_wr=1))
    left = rig.left
    left.device.exhaust("post_send", nth=9)
    left.device.exhaust("post_recv", nth=9)
    left.recv(0)
    left.send(0, WrOpcode.RDMA_WRITE, 0, 0)
    for post in (lambda: left.recv(1), lambda: left.send(1, WrOpcode.RDMA_WRITE, 0, 0)):
        with pytest.raises(LocalError, match="is full") as caught:
            post()
        assert caught.value.errno == errno.ENOMEM


def test_posting_to_a_shared_queue_fails_on_demand_too() -> None:
    device = device_with()
    pd = device.alloc_pd()
    mr = pd.reg_mr(bytearray(64), FULL_ACCESS)
    device.exhaust("post_recv")
    srq = pd.create_srq(max_wr=4)
    with pytest.raises(LocalError, match="post_recv failed on demand"):
        srq.post_recv(RecvWr(1, [mr.sge()]))
    srq.post_recv(RecvWr(2, [mr.sge()]))
    assert len(srq.entries) == 1
