"""`baremetal perf`: workloads with a clock on them."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Annotated

import typer

from apps.arguments import (
    SIZES,
    TIMES,
    CtrlLossTmo,
    Digests,
    FastIoFailTmo,
    Local,
    Offload,
    Paths,
    Policy,
    ReconnectDelay,
    parse_url,
    reconnect_policy,
)
from apps.errors import CommandError
from apps.faults import Fault, Faults, device_config, report_json
from apps.nvme.arguments import HOST_NQN, HostNqn
from apps.nvme.session import SessionOptions, open_namespace
from apps.output import console
from apps.perf import engine, rdma_serve
from apps.perf.arguments import (
    AllSizes,
    Bidirectional,
    ChosenSizes,
    CommandBytes,
    Duration,
    Fill,
    Json,
    Latency,
    Listen,
    Memory,
    MemorySpan,
    Mix,
    NamespaceSpan,
    Overwrite,
    PathMtu,
    Payload,
    Peer,
    PeerCpus,
    Plot,
    Seed,
    Served,
    StartedBy,
    TargetCpus,
    Url,
)
from apps.perf.nvme import Carrier, NvmeEndpoint
from apps.perf.pattern import Mode, Workload
from apps.perf.plot import draw, new_figure
from apps.perf.processes import bind, target_process, with_peer_time
from apps.perf.rdma import ATOMIC_OPS, RdmaOp
from apps.perf.rdma_peer import Transport
from apps.perf.rdma_run import RdmaOptions, check, run_rdma
from apps.perf.report import Measurement, show
from apps.perf.sweep import show_sweep, sizes_of
from apps.sizes import Bytes, Nanoseconds, format_size
from stacks.nvme.host import PathPolicy

app = typer.Typer(
    no_args_is_help=True, help="Measure throughput and latency.", epilog="baremetal perf nvme --rw randread --time 2s"
)


@app.command(epilog=f"baremetal perf serve --listen 127.0.0.2\n\n{SIZES}")
def serve(
    listen: Listen = "127.0.0.2",
    memory: Memory = Bytes(64 << 20),
    busy: Annotated[bool, typer.Option(help="Poll without sleeping, for the lowest latency.")] = False,
    offload: Offload = True,
    fault: Fault = None,
    faults: Faults = None,
    until_stdin_ends: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: Json = False,
) -> None:
    """Serve `perf rdma` from another process or machine until Ctrl-C."""
    rdma_serve.serve(
        listen,
        memory,
        is_busy=busy,
        offload=offload,
        ends_with_stdin=until_stdin_ends,
        as_json=as_json,
        config=device_config(faults, fault),
    )


@app.command(epilog=f"baremetal perf rdma --op write --block-size 1MiB --time 2s\n\n{SIZES}\n\n{TIMES}")
def rdma(
    address: Peer = None,
    op: Annotated[RdmaOp, typer.Option(help="What is done.")] = RdmaOp.WRITE,
    block_size: Payload = Bytes(65536),
    queue_depth: Annotated[int, typer.Option(min=1, max=4096, help="How many are under way.")] = 16,
    duration: Duration = Nanoseconds(3_000_000_000),
    span: MemorySpan = Bytes(0),
    mix: Mix = 50,
    verify: Annotated[bool, typer.Option(help="Write a pattern, and compare what is read.")] = False,
    offset: Annotated[int, typer.Option(min=0, max=4095, help="Where in a page local memory starts.")] = 0,
    sges: Annotated[int, typer.Option(min=1, max=16, help="In how many pieces local memory is.")] = 1,
    mtu: PathMtu = Bytes(0),
    qps: Annotated[int, typer.Option(min=1, max=4096, help="Queue pairs that take turns.")] = 1,
    bidirectional: Bidirectional = False,
    local: Local = "",
    offload: Offload = True,
    cpus: PeerCpus = None,
    transport: Annotated[Transport, typer.Option(help="Of the queue pairs.")] = Transport.RC,
    latency: Latency = False,
    sizes: ChosenSizes = None,
    all_sizes: AllSizes = False,
    plot: Plot = None,
    seed: Seed = 1,
    fault: Fault = None,
    faults: Faults = None,
    as_json: Json = False,
) -> None:
    """RDMA operations on a peer's memory, or messages to a peer (send), or to and fro (ping)."""
    chosen = sizes_of(transport) if all_sizes else sizes or (block_size,)
    check_span(span, max(chosen))
    if op in ATOMIC_OPS and (sizes or all_sizes):
        raise CommandError(f"--op {op.value} has 8 bytes, and so no sizes to choose from", status=2)
    options = RdmaOptions(
        op=op, transport=transport, is_latency=latency, address=address, local=local, queue_depth=queue_depth,
        duration_ns=duration, span_bytes=span, read_percent=mix, is_verified=verify, offset_bytes=offset, sges=sges,
        path_mtu=mtu, qps=qps, is_bidirectional=bidirectional, offload=offload, seed=seed,
        config=device_config(faults, fault), is_quiet=as_json,
    )  # fmt: skip
    check(options)
    figure = new_figure(plot) if plot is not None else None
    options = replace(options, serving_cpu=bind(cpus))
    results = [run_rdma(options, size) for size in chosen]
    if figure is not None and plot is not None:
        draw(figure, results, plot, f"rdma {transport.value} {op.value}")
    if sizes or all_sizes:
        show_sweep(results, console(), as_json=as_json)
    else:
        finish(results[0], as_json=as_json)


@app.command(epilog=f"baremetal perf nvme --rw randrw --mix 70 --queue-depth 32\n\n{SIZES}\n\n{TIMES}")
def nvme(
    url: Url = None,
    rw: Annotated[Mode, typer.Option(help="What is done.")] = Mode.RANDREAD,
    block_size: CommandBytes = Bytes(4096),
    queue_depth: Annotated[int, typer.Option(min=1, max=1023, help="How many are under way.")] = 32,
    duration: Duration = Nanoseconds(3_000_000_000),
    span: NamespaceSpan = Bytes(0),
    mix: Mix = 50,
    fill: Fill = False,
    verify: Annotated[bool, typer.Option(help="Fill with a pattern, and compare what is read.")] = False,
    overwrite: Overwrite = False,
    namespace: Served = "mem:64MiB",
    carrier: StartedBy = Carrier.RDMA,
    queues: Annotated[int, typer.Option(min=1, max=64, help="I/O queues; over TCP, connections.")] = 1,
    digests: Digests = 0,
    path: Paths = None,
    policy: Policy = PathPolicy.ROUND_ROBIN,
    reconnect_delay: ReconnectDelay = 10,
    ctrl_loss_tmo: CtrlLossTmo = None,
    fast_io_fail_tmo: FastIoFailTmo = -1,
    local: Local = "",
    host_nqn: HostNqn = HOST_NQN,
    offload: Offload = True,
    cpus: TargetCpus = None,
    seed: Seed = 1,
    fault: Fault = None,
    faults: Faults = None,
    as_json: Json = False,
) -> None:
    """Reads and writes of a namespace; a given one is written to with --overwrite only."""
    reconnect = reconnect_policy(reconnect_delay, ctrl_loss_tmo, fast_io_fail_tmo, paths=1 + len(path or ()))
    check_span(span, block_size)
    is_ours = url is None and namespace.startswith("mem:")
    if not (is_ours or overwrite) and (fill or verify or rw not in (Mode.READ, Mode.RANDREAD)):
        raise CommandError(
            f"this writes test data over what {url or namespace} holds", "add --overwrite if that may be lost", status=2
        )
    serving_cpu = bind(cpus)
    with contextlib.ExitStack() as stack:
        pid = None
        if url is None:
            target = stack.enter_context(
                target_process(namespace, serving_cpu, offload=offload, transport=carrier.value)
            )
            url, pid = parse_url(str(target.ready["url"])), target.pid
        device = device_config(faults, fault)
        options = SessionOptions(
            local=local, host_nqn=host_nqn, offload=offload, queue_depth=queue_depth, queues=queues, digests=digests,
            device=device, is_quiet=as_json, paths=tuple(path or ()), policy=policy, reconnect=reconnect,
        )  # fmt: skip
        served = stack.enter_context(open_namespace(url, options))
        workload = Workload(rw, block_size, span or served.size_bytes, queue_depth, duration, mix, verify, seed)
        endpoint = NvmeEndpoint(served, workload)
        if fill and not verify:
            engine.fill(endpoint, workload)
        name = f"nvme {rw.value} {format_size(block_size)} x {queue_depth}"
        measurement = with_peer_time(pid, lambda: engine.run(endpoint, workload, name))
        measurement.more = report_json(served.connection.end.device)
    finish(measurement, as_json=as_json)


def check_span(span: int, block_bytes: int) -> None:
    """typer.BadParameter when a span, where one is given, has no room for a block."""
    if 0 < span < block_bytes:
        raise typer.BadParameter(f"--span {span} is less than a --block-size of {block_bytes}")


def finish(measurement: Measurement, *, as_json: bool) -> None:
    """Show a measurement; CommandError when data was wrong."""
    show(measurement, console(), as_json=as_json)
    if measurement.mismatches:
        raise CommandError(f"{measurement.mismatches} blocks did not hold what belongs there")
