"""What an initiator makes of a controller's answer to its ICReq, and of a controller that ends the connection."""

from __future__ import annotations

import pytest

from stacks.nvme.bindings.tcp import TcpInitiatorConfig
from stacks.nvme.bindings.tcp.parameters import TERMINATE_TIMEOUT_NS
from stacks.nvme.host import HostConfig
from tests.stacks.nvme.core_rig import NQN
from tests.stacks.nvme.tcp_initiator_rig import BOTH, FIELD, SEQUENCE, UNSUPPORTED, head
from tests.stacks.nvme.tcp_raw import RawController, RawCore
from tests.stacks.nvme.tcp_rig import TcpRig
from tests.stacks.nvme.transfers import SECOND
from tests.wire.nvme.tcp_pdus import pdus
from wire.nvme.kinds import TcpPduKind
from wire.nvme.tcp_codec import TcpInitializeResponse, TcpTerminate


class Answered:
    """An initiator whose ICReq is answered with what a test wants."""

    def __init__(self, *answer: bytes, digests: int = 0) -> None:
        self.rig = TcpRig(initiator=TcpInitiatorConfig(digests=digests))
        self.controller = RawController(self.rig)
        self.host, self.core = self.controller.connect(HostConfig(nqn=NQN))
        [self.request] = list(pdus(self.core.received))
        self.controller.send(self.core, *answer)

    @property
    def termination(self) -> tuple[int, int] | None:
        """FES and FEI of what the initiator said last."""
        return termination_of(self.core)


def termination_of(core: RawCore) -> tuple[int, int] | None:
    found = list(pdus(core.received))
    if not found or found[-1].kind is not TcpPduKind.HOST_TERMINATE:
        return None
    request = found[-1].header
    assert isinstance(request, TcpTerminate)
    return request.fes, request.fei_low | request.fei_high << 16


RESPONSES: dict[str, tuple[bytes, tuple[int, int]]] = {
    "another PFV": (TcpInitializeResponse(pfv=1, maxh2cdata=4096).encode(), (UNSUPPORTED, 8)),
    "CPDA too large": (TcpInitializeResponse(cpda=32, maxh2cdata=4096).encode(), (FIELD, 10)),
    "digests nobody asked for": (TcpInitializeResponse(digests=1, maxh2cdata=4096).encode(), (UNSUPPORTED, 11)),
    "MAXH2CDATA too small": (TcpInitializeResponse(maxh2cdata=4092).encode(), (FIELD, 12)),
    "MAXH2CDATA of no dwords": (TcpInitializeResponse(maxh2cdata=4097).encode(), (FIELD, 12)),
    "MAXH2CDATA 0": (TcpInitializeResponse().encode(), (FIELD, 12)),
    "a short ICResp": (head(1, hlen=128, plen=127), (FIELD, 4)),
    "a long ICResp": (head(1, hlen=128, plen=256), (FIELD, 4)),
    "a short header": (head(1, hlen=24, plen=128), (FIELD, 2)),
    "ICReq from a controller": (head(0, hlen=128, plen=128), (FIELD, 0)),
    "a completion first": (head(5, hlen=24, plen=24), (SEQUENCE, 0)),
    "data first": (head(7, hlen=24, plen=28, pdo=24), (SEQUENCE, 0)),
    "an R2T first": (head(9, hlen=24, plen=24), (SEQUENCE, 0)),
    "text": (b"SSH-2.0-OpenSSH_9.2\r\n", (FIELD, 0)),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_an_answer_that_cannot_be_ends_the_connection_with_its_reason(name: str) -> None:
    raw, expected = RESPONSES[name]
    answered = Answered(raw)
    assert answered.termination == expected
    assert answered.host.is_closed
    assert "sent what is wrong" in answered.host.failure
    answered.controller.run(SECOND)
    assert answered.core.is_ended
    assert answered.rig.initiator.is_quiet


def test_a_controller_that_ends_the_connection_gets_no_answer_and_is_quoted() -> None:
    answered = Answered(TcpTerminate(kind=3, fes=6, fei_low=8).encode())
    assert answered.termination is None
    assert answered.host.failure == ("the target at 192.0.2.8:4420: it ended the connection, unsupported parameter")


@pytest.mark.parametrize(
    "raw",
    [
        TcpTerminate(kind=3, fes=1, plen=153).encode() + bytes(129),
        TcpTerminate(kind=3, fes=1, plen=8).encode(),
        TcpTerminate(kind=3, fes=1, hlen=9).encode(),
    ],
)
def test_a_malformed_end_is_an_end(raw: bytes) -> None:
    answered = Answered(raw)
    assert answered.termination is None
    assert answered.host.is_closed
    assert "it ended the connection" in answered.host.failure


def test_what_the_initiator_asks_for_is_what_linux_asks_for() -> None:
    assert Answered(digests=BOTH).request.raw == bytes.fromhex("00008000800000000000000300000000") + bytes(112)


def test_a_controller_that_does_not_close_after_a_term_req_is_left() -> None:
    answered = Answered()
    answered.core.closes_at_end = False
    before = answered.rig.simulation.now
    answered.controller.send(answered.core, b"\xff" * 8)
    answered.rig.run_until(lambda: answered.rig.initiator.is_quiet)
    assert TERMINATE_TIMEOUT_NS <= answered.rig.simulation.now - before < TERMINATE_TIMEOUT_NS + SECOND
