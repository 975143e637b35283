"""Options of `perf rdma` that do not go together: one line each, before anything is started."""

from __future__ import annotations

import pytest

from apps.errors import CommandError
from apps.perf.rdma import RdmaOp
from apps.perf.rdma_peer import PerfRequest, Transport
from apps.perf.rdma_run import LATENCY_OPS, TRANSPORT_OPS, RdmaOptions, check
from apps.perf.resident import growth_per, resident_bytes


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            RdmaOptions(op=RdmaOp.WRITE_IMM, is_latency=True),
            "--latency goes with --op write, read, send, fetch-add and",
        ),
        (RdmaOptions(is_latency=True, qps=2), "--latency has one operation under way"),
        (
            RdmaOptions(transport=Transport.UC, op=RdmaOp.READ),
            "--transport uc goes with --op write, randwrite, write-imm",
        ),
        (RdmaOptions(transport=Transport.UC, is_verified=True), "which --transport uc cannot"),
        (RdmaOptions(transport=Transport.XRC, is_latency=True), "an XRC queue pair sends one way"),
        (RdmaOptions(transport=Transport.XRC, op=RdmaOp.PING), "--transport xrc goes with --op"),
        (RdmaOptions(transport=Transport.XRC, is_bidirectional=True), "--bidirectional goes with --transport rc"),
        (RdmaOptions(transport=Transport.UD), "--transport ud goes with --op send and ping"),
        (RdmaOptions(transport=Transport.UD, op=RdmaOp.SEND, qps=17), "no more --qps than --queue-depth"),
        (RdmaOptions(op=RdmaOp.SEND, is_verified=True), "--verify does not go with --op send"),
        (RdmaOptions(op=RdmaOp.PING, qps=2), "uses one queue pair"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(options: RdmaOptions, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        check(options)


@pytest.mark.parametrize("transport", list(Transport))
def test_every_operation_of_a_transport_is_taken(transport: Transport) -> None:
    for op in TRANSPORT_OPS[transport]:
        check(RdmaOptions(transport=transport, op=op))


@pytest.mark.parametrize("op", LATENCY_OPS)
def test_every_operation_whose_latency_is_measured_is_taken(op: RdmaOp) -> None:
    check(RdmaOptions(op=op, is_latency=True))


@pytest.mark.parametrize("transport", list(Transport))
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_a_request_survives_its_private_data(transport: Transport, is_mirrored: bool) -> None:
    request = PerfRequest(1, 2, is_echoed=True, back_depth=1, is_mirrored=is_mirrored, transport=transport)
    assert PerfRequest.decode(request.encode() + bytes(20)) == request


def test_memory_is_counted_for_many_objects_and_known_processes_only() -> None:
    assert growth_per(1000, 5_000, 2_005_000) == 2000
    assert growth_per(1000, 5_000, 4_000) == 0
    assert growth_per(99, 5_000, 2_005_000) is None
    assert growth_per(1000, None, 2_005_000) is None
    assert resident_bytes(None) is resident_bytes(1 << 30) is None
