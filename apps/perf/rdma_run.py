"""One run of `baremetal perf rdma`, from its options to what was measured, and which options go together."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from apps.errors import CommandError
from apps.faults import report_json
from apps.perf import engine
from apps.perf.pattern import Mode, Workload
from apps.perf.processes import peer_process, with_peer_time
from apps.perf.rdma import ATOMIC_OPS, BIDIRECTIONAL_OPS, OPCODES, RdmaOp, RdmaWorkload, Shape, connect, is_polled
from apps.perf.rdma_latency import measure_latency
from apps.perf.rdma_peer import Transport
from apps.perf.report import Measurement
from apps.perf.resident import growth_per, resident_bytes
from apps.sizes import format_size
from stacks.rdma import DeviceConfig
from stacks.rdma.attributes import PATH_MTUS


@dataclass(frozen=True, slots=True, kw_only=True)
class RdmaOptions:
    """What the command line asks for, all but the size of an operation.

    address: of a peer, None to start one on the processor `serving_cpu`. is_latency: one operation at a time, to and
    fro where it has no answer of its own. span_bytes: 0 for a block each. Others as of `Workload`, `Shape`, `connect`.
    """

    op: RdmaOp = RdmaOp.WRITE
    transport: Transport = Transport.RC
    is_latency: bool = False
    address: str | None = None
    local: str = ""
    queue_depth: int = 16
    duration_ns: int = 3_000_000_000
    span_bytes: int = 0
    read_percent: int = 50
    is_verified: bool = False
    offset_bytes: int = 0
    sges: int = 1
    path_mtu: int = 0
    qps: int = 1
    is_bidirectional: bool = False
    offload: bool = True
    serving_cpu: int | None = None
    seed: int = 1
    config: DeviceConfig | None = None
    is_quiet: bool = False


def check(options: RdmaOptions) -> None:
    """CommandError, in one line, for options that do not go together."""
    op, transport = options.op, options.transport
    problem = ""
    if options.is_verified and op.value not in set(Mode):
        problem = f"--verify does not go with --op {op.value}; use write, read or a mix"
    elif options.is_bidirectional and (op not in BIDIRECTIONAL_OPS or options.is_verified):
        problem = "--bidirectional goes with --op write, read and send, without --verify"
    elif options.qps > 1 and op is RdmaOp.PING:
        problem = "--op ping has one message under way, and so uses one queue pair"
    elif options.is_latency and op not in LATENCY_OPS:
        problem = f"--latency goes with --op {listed(LATENCY_OPS)}"
    elif options.is_latency and (options.qps > 1 or options.is_bidirectional or options.is_verified):
        problem = "--latency has one operation under way: leave out --qps, --bidirectional and --verify"
    elif op not in TRANSPORT_OPS[transport]:
        problem = f"--transport {transport.value} goes with --op {listed(TRANSPORT_OPS[transport])}"
    elif options.is_latency and transport is Transport.XRC and op in (RdmaOp.WRITE, RdmaOp.SEND):
        problem = f"an XRC queue pair sends one way: nothing comes back of --op {op.value}, and --latency needs it"
    elif transport is not Transport.RC and options.is_bidirectional:
        problem = "--bidirectional goes with --transport rc: the peer's count is read"
    elif transport is Transport.UD and options.qps > options.queue_depth:
        problem = "datagram queue pairs take turns of their own: no more --qps than --queue-depth"
    elif transport is Transport.UC and options.is_verified:
        problem = "--verify reads back what was written, which --transport uc cannot"
    if problem:
        raise CommandError(problem, status=2)


def run_rdma(options: RdmaOptions, block_bytes: int) -> Measurement:
    """Run with operations of `block_bytes`.

    CommandError when a datagram cannot hold them, there is no peer, or it has too little memory.
    """
    op, block_bytes = operation(options), 8 if options.op in ATOMIC_OPS else block_bytes
    if options.transport is Transport.UD and block_bytes > DATAGRAM_BYTES:
        problem = f"a datagram holds {DATAGRAM_BYTES} bytes, not {format_size(block_bytes)}"
        raise CommandError(problem, "choose a smaller --block-size", status=2)
    is_alone = op is RdmaOp.PING or options.is_latency
    workload = workload_of(options, op, block_bytes, depth=1 if is_alone else options.queue_depth)
    is_streamed = op in OPCODES and not options.is_verified and not options.span_bytes
    is_busy = is_alone or (is_streamed and is_polled(op, block_bytes))
    with contextlib.ExitStack() as stack:
        address, pid = options.address, None
        if address is None:
            peer = stack.enter_context(
                peer_process(workload.span_bytes, options.serving_cpu, is_busy=is_busy, offload=options.offload)
            )
            address, pid = str(peer.ready["address"]), peer.pid
        before = resident_bytes(os.getpid()), resident_bytes(pid)
        endpoint = stack.enter_context(
            connect(
                address,
                shape_of(options, op, workload),
                op=op,
                local=options.local,
                offload=options.offload,
                config=options.config,
                is_quiet=options.is_quiet,
            )
        )
        after = resident_bytes(os.getpid()), resident_bytes(pid)
        check_memory(endpoint, workload, op)
        measurement = with_peer_time(
            pid, lambda: measure(endpoint, workload, name_of(options, workload), is_streamed=is_streamed)
        )
        measurement.more = report_json(endpoint.device)
    measurement.qp_bytes, measurement.peer_qp_bytes = (
        growth_per(options.qps, old, new) for old, new in zip(before, after, strict=True)
    )
    return measurement


def workload_of(options: RdmaOptions, op: RdmaOp, block_bytes: int, *, depth: int) -> Workload:
    """What is done where in the peer's memory; of an operation that has no mode, only the sizes count."""
    mode = Mode(op.value) if op.value in set(Mode) else Mode.WRITE
    span = options.span_bytes or block_bytes * depth
    return Workload(
        mode, block_bytes, span, depth, options.duration_ns, options.read_percent, options.is_verified, options.seed
    )


def shape_of(options: RdmaOptions, op: RdmaOp, workload: Workload) -> Shape:
    """Queue pairs and local memory for the workload."""
    return Shape(
        workload.block_bytes,
        workload.queue_depth,
        options.offset_bytes,
        1 if op in ATOMIC_OPS else options.sges,
        options.path_mtu,
        options.qps,
        options.is_bidirectional,
        options.transport,
        is_latency=options.is_latency,
        is_mirrored=options.is_latency and op is RdmaOp.WRITE,
    )


def check_memory(endpoint: RdmaWorkload, workload: Workload, op: RdmaOp) -> None:
    """CommandError when the peer has less memory than the workload spans; messages need none of it."""
    span, peer_bytes = workload.span_bytes, endpoint.memory.length
    if op not in (RdmaOp.SEND, RdmaOp.PING) and span > peer_bytes:
        raise CommandError(
            f"{format_size(span)} are needed, the peer has {format_size(peer_bytes)}",
            "choose a smaller --span, or start it with more --memory",
        )


def measure(endpoint: RdmaWorkload, workload: Workload, name: str, *, is_streamed: bool) -> Measurement:
    """Run the workload in the way that suits it."""
    if not is_streamed:
        return engine.run(endpoint, workload, name)
    measurement = Measurement(name, workload.block_bytes)
    if endpoint.is_alone:
        measure_latency(endpoint, measurement, workload.duration_ns)
    else:
        endpoint.stream(measurement, workload.duration_ns)
    return measurement


def operation(options: RdmaOptions) -> RdmaOp:
    """What is done: the latency of SENDs is that of messages to and fro."""
    return RdmaOp.PING if options.is_latency and options.op is RdmaOp.SEND else options.op


def name_of(options: RdmaOptions, workload: Workload) -> str:
    """What the run is called."""
    transport = "" if options.transport is Transport.RC else f" {options.transport.value}"
    latency = " latency" if options.is_latency else ""
    size = format_size(workload.block_bytes)
    return f"rdma{transport} {options.op.value}{latency} {size} x {workload.queue_depth}"


def listed(ops: tuple[RdmaOp, ...]) -> str:
    """Operations by name, as in a sentence."""
    names = [op.value for op in ops]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


DATAGRAM_BYTES = PATH_MTUS[-1]
LATENCY_OPS = (RdmaOp.WRITE, RdmaOp.READ, RdmaOp.SEND, *ATOMIC_OPS)
TRANSPORT_OPS = {
    Transport.RC: tuple(RdmaOp),
    Transport.UC: (RdmaOp.WRITE, RdmaOp.RANDWRITE, RdmaOp.WRITE_IMM, RdmaOp.SEND, RdmaOp.PING),
    Transport.UD: (RdmaOp.SEND, RdmaOp.PING),
    Transport.XRC: tuple(op for op in RdmaOp if op is not RdmaOp.PING),
}
"""What each transport can do."""
