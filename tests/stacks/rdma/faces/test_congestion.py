"""Paced sending over real sockets: the deadlines of the send gate wake the pump."""

from __future__ import annotations

import random
import time

import pytest

from stacks.congestion import Controller, Flow
from stacks.rdma import Access, CongestionConfig, DeviceConfig, SendWr, Sge, WcStatus, WrOpcode
from stacks.rdma.sync import open_device
from tests.stacks.rdma.faces.addresses import fresh_address

PORT = 7000
SECOND_NS = 10**9
LENGTH = 1 << 20
RATE_BPS = 200_000_000


class Fixed(Controller):
    """A fixed rate."""

    rate_bps = RATE_BPS

    def __init__(self, flow: Flow) -> None:
        self.flow = flow


@pytest.mark.slow
@pytest.mark.parametrize("recovery", ["go-back-n", "selective"])
def test_a_paced_write_over_udp_takes_as_long_as_its_rate_says(recovery: str) -> None:
    congestion = CongestionConfig(controller=Fixed, burst_bytes=16_000)
    config = DeviceConfig(congestion=congestion, recovery=recovery)
    with (
        open_device(fresh_address(), config=config, rng=random.Random(1)) as near,
        open_device(fresh_address(), config=config, beside=near, rng=random.Random(2)) as far,
    ):
        source = near.pd.reg_mr(bytearray(random.Random(3).randbytes(LENGTH)), Access.LOCAL_WRITE)
        target = far.pd.reg_mr(memory := bytearray(LENGTH), Access.LOCAL_WRITE | Access.REMOTE_ANY)
        near_qp, far_qp = near.create_qp(), far.create_qp()
        listener = far.listen(PORT)
        cm_id = near.start_connect(far.address, PORT, qp=near_qp)
        far.accept(far.next_request(listener), qp=far_qp)
        assert near.wait_until(lambda: cm_id.is_settled, timeout_ns=55 * SECOND_NS)
        begin_ns = time.monotonic_ns()
        near_qp.post_send(
            SendWr(
                1, WrOpcode.RDMA_WRITE, [Sge(source.address, LENGTH, source.lkey)], remote_address=target.address,
                rkey=target.rkey,
            )
        )  # fmt: skip
        (wc,) = near.wait_cq(near_qp.send_cq, 1, timeout_ns=55 * SECOND_NS)
        took_ns = time.monotonic_ns() - begin_ns
        assert wc.status is WcStatus.SUCCESS
        assert memory == bytearray(random.Random(3).randbytes(LENGTH))
        assert took_ns > (LENGTH - 2 * 16_000) * 8 * SECOND_NS // RATE_BPS
        assert near.device.counters.retry_exceeded_err == 0
