"""Device memory, implicit regions, and what a second context imports."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

import stacks.rdma.verbs.libibverbs_enums as e
from stacks.rdma.verbs import (
    DM,
    DMMR,
    MR,
    PD,
    SGE,
    AllocDmAttr,
    Context,
    DmaBufMR,
    ParentDomain,
    ParentDomainContext,
    ParentDomainInitAttr,
    PyverbsRDMAError,
    SendWR,
)
from tests.stacks.rdma.verbs.players import fresh_host, join, player

ZERO_BASED = e.IBV_ACCESS_ZERO_BASED | e.IBV_ACCESS_LOCAL_WRITE | e.IBV_ACCESS_REMOTE_WRITE


@pytest.fixture
def context() -> Iterator[Context]:
    with Context(name="bm0", host=fresh_host(2)) as context:
        yield context


def test_device_memory_is_copied_to_and_from(context: Context) -> None:
    with DM(context, AllocDmAttr(64)) as dm:
        dm.copy_to_dm(8, "inside", 4)
        assert dm.copy_from_dm(4, 12) == bytes(4) + b"insi" + bytes(4)
        for offset, length in ((2, 4), (4, 2), (64, 4), (0, 68)):
            with pytest.raises(PyverbsRDMAError, match="copy from dm"):
                dm.copy_from_dm(offset, length)


def test_more_device_memory_than_there_is(context: Context) -> None:
    most = context.query_device_ex().max_dm_size
    with pytest.raises(PyverbsRDMAError, match="Max available size") as caught:
        DM(context, AllocDmAttr(most + 4))
    assert caught.value.error_code == errno.ENOMEM
    with pytest.raises(PyverbsRDMAError, match="comp_mask"):
        DM(context, AllocDmAttr(4, comp_mask=1))


def test_a_peer_writes_to_device_memory() -> None:
    host = fresh_host()
    near, far = player(host), player(host, "bm1")
    join(near, far)
    dm = DM(far.context, AllocDmAttr(64))
    region = DMMR(far.pd, 32, ZERO_BASED, dm, 16)
    assert region.buf == 0
    near.mr.write("to the device", 13)
    wr = SendWR(opcode=e.IBV_WR_RDMA_WRITE, sg=[near.sge(8)])
    wr.set_wr_rdma(region.rkey, 4)
    near.qp.post_send(wr)
    assert near.completion().status == e.IBV_WC_SUCCESS
    assert region.read(8, 4) == dm.copy_from_dm(20, 8) == b"to the d"
    region.write("again", 4, 4)
    assert dm.copy_from_dm(20, 4) == b"agai"
    near.context.close()
    far.context.close()
    assert dm.is_closed


def test_an_implicit_region_is_advised_and_written_to() -> None:
    host = fresh_host()
    near, far = player(host), player(host, "bm1")
    join(near, far)
    whole = MR(far.pd, 64, e.IBV_ACCESS_LOCAL_WRITE | e.IBV_ACCESS_REMOTE_WRITE | e.IBV_ACCESS_ON_DEMAND, implicit=True)
    far.pd.advise_mr(e._IBV_ADVISE_MR_ADVICE_PREFETCH, 0, [SGE(whole.buf, 64, whole.lkey)])  # noqa: SLF001  # its C name
    near.mr.write("anywhere", 8)
    wr = SendWR(opcode=e.IBV_WR_RDMA_WRITE, sg=[near.sge(8)])
    wr.set_wr_rdma(whole.rkey, whole.buf + 8)
    near.qp.post_send(wr)
    assert near.completion().status == e.IBV_WC_SUCCESS
    assert whole.read(8, 8) == b"anywhere"
    with pytest.raises(PyverbsRDMAError, match="advise"):
        far.pd.advise_mr(0, 0, [SGE(far.mr.buf, 8, far.mr.lkey)])
    near.context.close()
    far.context.close()


def test_a_second_context_imports_objects_of_the_first(context: Context) -> None:
    pd = PD(context)
    mr = MR(pd, 64, e.IBV_ACCESS_LOCAL_WRITE)
    dm = DM(context, AllocDmAttr(64))
    duplicate = os.dup(context.cmd_fd)
    with Context(cmd_fd=duplicate) as second:
        same_pd, same_dm = PD(second, handle=pd.handle), DM(second, handle=dm.handle)
        same_mr = MR(same_pd, handle=mr.handle)
        assert (same_mr.lkey, same_mr.buf, same_mr.rkey) == (mr.lkey, mr.buf, mr.rkey)
        mr.write("seen", 4)
        assert same_mr.read(4) == b"seen"
        dm.copy_to_dm(0, "seen", 4)
        assert same_dm.copy_from_dm(0, 4) == b"seen"
        with pytest.raises(PyverbsRDMAError, match="import MR"):
            MR(same_pd, handle=pd.handle)
        for imported in (same_mr, same_dm, same_pd):
            imported.unimport()
    assert mr.core.is_valid
    with pytest.raises(PyverbsRDMAError, match="not imported"):
        dm.unimport()
    os.close(duplicate)


def test_a_file_that_names_no_context() -> None:
    with pytest.raises(PyverbsRDMAError, match="names no context"):
        Context(cmd_fd=0)
    with pytest.raises(PyverbsRDMAError, match="import device"):
        Context(cmd_fd=-1)


def test_a_parent_domain_is_the_domain_below_it(context: Context) -> None:
    pd = PD(context)
    allocators = ParentDomainContext(pd, lambda *_: 0, lambda *_: None)
    parent = ParentDomain(context, ParentDomainInitAttr(pd, allocators))
    mr = MR(parent, 8, e.IBV_ACCESS_LOCAL_WRITE)
    assert mr.core.pd is pd.core
    pd.close()
    assert parent.is_closed
    assert mr.is_closed


def test_buffers_of_other_cards_are_not_supported(context: Context) -> None:
    with pytest.raises(PyverbsRDMAError) as caught:
        DmaBufMR(PD(context), 8, 0)
    assert caught.value.error_code == errno.EOPNOTSUPP
