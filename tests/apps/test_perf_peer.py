"""The serving end of `perf rdma`: what a client asks for in its REQ, or sends, never ends the process."""

from __future__ import annotations

import pytest

from apps.perf.rdma_peer import PERF_PORT, PerfRequest, RdmaPeer
from stacks.rdma import QpState, WrOpcode
from stacks.rdma.cm import ConnectionParameters
from tests.stacks.rdma.rig import Rig
from wire.ibcm import service_id

STEP_NS = 1_000_000


class Served:
    """A client that is connected to a peer, in virtual time."""

    def __init__(self, request: PerfRequest, *, responder_resources: int = 16) -> None:
        self.rig = Rig(connect=False)
        self.client = self.rig.left
        self.peer = RdmaPeer(self.rig.right.device, 1 << 16)
        qp = self.client.qp
        self.client.device.cm.connect(
            self.rig.right.device.address[0],
            service_id(PERF_PORT),
            qp=qp,
            private_data=request.encode(),
            parameters=ConnectionParameters(qpn=qp.number, responder_resources=responder_resources),
        )
        self.client.host.wake()
        self.run()

    def run(self) -> None:
        """Let both do what there is to do."""
        for _ in range(20):
            self.rig.run(STEP_NS)
            self.peer.pump(0)
            self.rig.right.host.wake()


@pytest.mark.parametrize(
    "request_",
    [
        PerfRequest(receive_bytes=0, receives=4, is_echoed=True),
        PerfRequest(back_depth=2, back_opcode=int(WrOpcode.RDMA_WRITE), back_bytes=8, is_mirrored=True),
    ],
    ids=["empty messages that come back", "two mirrors of one memory"],
)
def test_what_makes_no_sense_is_refused(request_: PerfRequest) -> None:
    served = Served(request_)
    assert served.client.qp.state is QpState.ERR


@pytest.mark.parametrize(
    ("opcode", "address", "resources"),
    [(WrOpcode.RDMA_READ, 0, 0), (WrOpcode.RDMA_WRITE, (1 << 64) - 4, 16)],
    ids=["READs that the client does not serve", "an address beyond 64 bits"],
)
def test_work_that_cannot_be_posted_ends_the_connection_and_nothing_else(
    opcode: WrOpcode, address: int, resources: int
) -> None:
    request = PerfRequest(back_depth=2, back_opcode=int(opcode), back_bytes=64, back_address=address)
    served = Served(request, responder_resources=resources)
    assert served.client.qp.state is QpState.ERR
