"""`baremetal perf`: workloads with a clock on them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Annotated

import typer

from apps.addresses import free_loopback_address
from apps.arguments import SIZES, TIMES, Local, Offload, parse_address, parse_path_mtu, parse_url
from apps.errors import CommandError
from apps.faults import Fault, Faults, device_config, report_json
from apps.nvme.session import SessionOptions, open_namespace
from apps.nvme.sources import parse_source
from apps.output import console
from apps.perf import engine, rdma_serve
from apps.perf.nvme import NvmeEndpoint
from apps.perf.pattern import Mode, Workload
from apps.perf.rdma import ATOMIC_OPS, BIDIRECTIONAL_OPS, OPCODES, RdmaOp, RdmaWorkload, Shape, connect, is_polled
from apps.perf.report import Measurement, show
from apps.processes import ServingProcess
from apps.sizes import Bytes, Nanoseconds, format_size, parse_duration, parse_size, parse_some
from stacks.nvme.url import NvmeUrl
from transports.control import ControlClient, running_processes

app = typer.Typer(
    no_args_is_help=True, help="Measure throughput and latency.", epilog="baremetal perf nvme --rw randread --time 2s"
)

JSON_OPTION = typer.Option("--json", help="Print one JSON object.")


@app.command(epilog=f"baremetal perf serve --listen 127.0.0.2\n\n{SIZES}")
def serve(
    listen: Annotated[
        str, typer.Option(parser=parse_address, metavar="ADDRESS", help="IP address of the device.")
    ] = "127.0.0.2",
    memory: Annotated[int, typer.Option(parser=parse_some, metavar="SIZE", help="Memory for clients.")] = Bytes(
        64 << 20
    ),
    busy: Annotated[bool, typer.Option(help="Poll without sleeping, for the lowest latency.")] = False,
    offload: Offload = True,
    fault: Fault = None,
    faults: Faults = None,
    until_stdin_ends: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
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
    address: Annotated[
        str | None,
        typer.Argument(
            parser=parse_address, metavar="ADDRESS", help="IP address of a `perf serve`; left out, one is started."
        ),
    ] = None,
    op: Annotated[RdmaOp, typer.Option(help="What is done.")] = RdmaOp.WRITE,
    block_size: Annotated[int, typer.Option(parser=parse_some, metavar="SIZE", help="Payload of one.")] = Bytes(65536),
    queue_depth: Annotated[int, typer.Option(min=1, max=4096, help="How many are under way.")] = 16,
    duration: Annotated[
        int, typer.Option("--time", parser=parse_duration, metavar="TIME", help="For how long.")
    ] = Nanoseconds(3_000_000_000),
    span: Annotated[
        int,
        typer.Option(
            parser=parse_size, metavar="SIZE", help="How much of the peer's memory; 0: one block each under way."
        ),
    ] = Bytes(0),
    mix: Annotated[int, typer.Option(min=0, max=100, help="Percentage of reads in rw and randrw.")] = 50,
    verify: Annotated[bool, typer.Option(help="Write a pattern, and compare what is read.")] = False,
    offset: Annotated[int, typer.Option(min=0, max=4095, help="Where in a page local memory starts.")] = 0,
    sges: Annotated[int, typer.Option(min=1, max=16, help="In how many pieces local memory is.")] = 1,
    mtu: Annotated[
        int, typer.Option(parser=parse_path_mtu, metavar="SIZE", help="Path MTU: 256 to 4096; 0: the largest.")
    ] = Bytes(0),
    qps: Annotated[int, typer.Option(min=1, max=4096, help="Queue pairs that take turns.")] = 1,
    bidirectional: Annotated[
        bool, typer.Option("--bidirectional", help="The peer does the same to our memory; the sum is shown.")
    ] = False,
    local: Local = "",
    offload: Offload = True,
    cpus: Annotated[
        str | None, typer.Option(help="Processors of the started peer and of this process, as 0,1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random places and content.")] = 1,
    fault: Fault = None,
    faults: Faults = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """RDMA operations on a peer's memory, or messages to a peer (send), or to and fro (ping)."""
    check_span(span, block_size)
    check_op(op, verify=verify, bidirectional=bidirectional, qps=qps)
    if op in ATOMIC_OPS:
        block_size, sges = Bytes(8), 1
    serving_cpu = bind(cpus)
    depth = 1 if op is RdmaOp.PING else max(queue_depth, qps)
    mode = Mode(op.value) if op.value in set(Mode) else Mode.WRITE
    workload = Workload(mode, block_size, span or block_size * depth, depth, duration, mix, verify, seed)
    shape = Shape(block_size, depth, offset, sges, mtu, qps, bidirectional)
    is_streamed = op in OPCODES and not verify and not span
    with contextlib.ExitStack() as stack:
        pid = None
        if address is None:
            peer = stack.enter_context(
                peer_process(
                    workload.span_bytes,
                    serving_cpu,
                    is_busy=is_streamed and is_polled(op, block_size),
                    offload=offload,
                )
            )
            address, pid = str(peer.ready["address"]), peer.pid
        config = device_config(faults, fault)
        endpoint = stack.enter_context(
            connect(address, shape, op=op, local=local, offload=offload, config=config, is_quiet=as_json)
        )
        if op not in (RdmaOp.SEND, RdmaOp.PING) and workload.span_bytes > endpoint.memory.length:
            raise CommandError(
                f"{format_size(workload.span_bytes)} are needed, the peer has {format_size(endpoint.memory.length)}",
                "choose a smaller --span, or start it with more --memory",
            )
        measurement = with_peer_time(pid, lambda: run(endpoint, workload, op, is_streamed=is_streamed))
        measurement.more = report_json(endpoint.device)
    finish(measurement, as_json=as_json)


@app.command(epilog=f"baremetal perf nvme --rw randrw --mix 70 --queue-depth 32\n\n{SIZES}\n\n{TIMES}")
def nvme(
    url: Annotated[
        NvmeUrl | None,
        typer.Argument(
            parser=parse_url, metavar="URL", help="nvme+rdma://HOST:PORT/NQN/NSID; left out, a target is started."
        ),
    ] = None,
    rw: Annotated[Mode, typer.Option(help="What is done.")] = Mode.RANDREAD,
    block_size: Annotated[int, typer.Option(parser=parse_some, metavar="SIZE", help="Bytes of one command.")] = Bytes(
        4096
    ),
    queue_depth: Annotated[int, typer.Option(min=1, max=1023, help="How many are under way.")] = 32,
    duration: Annotated[
        int, typer.Option("--time", parser=parse_duration, metavar="TIME", help="For how long.")
    ] = Nanoseconds(3_000_000_000),
    span: Annotated[
        int, typer.Option(parser=parse_size, metavar="SIZE", help="How much of the namespace, from its start; 0: all.")
    ] = Bytes(0),
    mix: Annotated[int, typer.Option(min=0, max=100, help="Percentage of reads in rw and randrw.")] = 50,
    fill: Annotated[bool, typer.Option(help="Write random data to the span first; destroys what is there.")] = False,
    verify: Annotated[bool, typer.Option(help="Fill with a pattern, and compare what is read.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Allow to destroy what a given URL or --namespace image holds.")
    ] = False,
    namespace: Annotated[
        str,
        typer.Option(
            parser=parse_source, metavar="IMAGE", help="What a started target serves: an image file, or mem:SIZE."
        ),
    ] = "mem:64MiB",
    local: Local = "",
    offload: Offload = True,
    cpus: Annotated[
        str | None, typer.Option(help="Processors of the started target and of this process, as 0,1.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random places and content.")] = 1,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Reads and writes of a namespace; a given one is written to with --overwrite only."""
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
            target = stack.enter_context(target_process(namespace, serving_cpu, offload=offload))
            url, pid = parse_url(str(target.ready["url"])), target.pid
        options = SessionOptions(local=local, offload=offload, queue_depth=queue_depth)
        served = stack.enter_context(open_namespace(url, options))
        workload = Workload(rw, block_size, span or served.size_bytes, queue_depth, duration, mix, verify, seed)
        endpoint = NvmeEndpoint(served, workload)
        if fill and not verify:
            engine.fill(endpoint, workload)
        name = f"nvme {rw.value} {format_size(block_size)} x {queue_depth}"
        measurement = with_peer_time(pid, lambda: engine.run(endpoint, workload, name))
    finish(measurement, as_json=as_json)


def check_span(span: int, block_bytes: int) -> None:
    """typer.BadParameter when a span, where one is given, has no room for a block."""
    if 0 < span < block_bytes:
        raise typer.BadParameter(f"--span {span} is less than a --block-size of {block_bytes}")


def with_peer_time(pid: int | None, measure: Callable[[], Measurement]) -> Measurement:
    """What `measure` returns, with the processor time that our serving process `pid` took meanwhile."""
    before = cpu_time(pid)
    measurement = measure()
    after = cpu_time(pid)
    if before is not None and after is not None:
        measurement.peer_cpu_ns = after - before
    return measurement


def check_op(op: RdmaOp, *, verify: bool, bidirectional: bool, qps: int) -> None:
    """CommandError for options that do not go with an operation."""
    if verify and op.value not in set(Mode):
        raise CommandError(f"--verify does not go with --op {op.value}", "use write, read or a mix", status=2)
    if bidirectional and (op not in BIDIRECTIONAL_OPS or verify):
        raise CommandError("--bidirectional goes with --op write, read and send, without --verify", status=2)
    if qps > 1 and op is RdmaOp.PING:
        raise CommandError("--op ping has one message under way, and so uses one queue pair", status=2)


def run(endpoint: RdmaWorkload, workload: Workload, op: RdmaOp, *, is_streamed: bool) -> Measurement:
    """Run the workload that `op` stands for."""
    name = f"rdma {op.value} {format_size(workload.block_bytes)} x {workload.queue_depth}"
    if not is_streamed:
        return engine.run(endpoint, workload, name)
    measurement = Measurement(name, workload.block_bytes)
    measure = endpoint.ping if op is RdmaOp.PING else endpoint.stream
    measure(measurement, workload.duration_ns)
    return measurement


def finish(measurement: Measurement, *, as_json: bool) -> None:
    """Show a measurement; CommandError when data was wrong."""
    show(measurement, console(), as_json=as_json)
    if measurement.mismatches:
        raise CommandError(f"{measurement.mismatches} blocks did not hold what belongs there")


def bind(cpus: str | None) -> int | None:
    """Bind this process to the second of two processors, and return the first. CommandError for anything else."""
    if cpus is None:
        return None
    try:
        serving, measuring = (int(cpu) for cpu in cpus.split(","))
        os.sched_setaffinity(0, {measuring})
        os.sched_getaffinity(0)
    except (ValueError, OSError) as error:
        raise CommandError(f"{cpus!r} are not two processors of this machine", "write --cpus 0,1", status=2) from error
    return serving


@contextlib.contextmanager
def peer_process(memory: int, cpu: int | None, *, is_busy: bool, offload: bool) -> Iterator[ServingProcess]:
    """A `perf serve` of our own on a free loopback address."""
    words = ["perf", "serve", "--listen", free_loopback_address(), "--memory", str(max(memory, 4096))]
    words += ["--until-stdin-ends", "--json", "--busy" if is_busy else "--no-busy"]
    words += ["--offload" if offload else "--no-offload"]
    with ServingProcess(words, cpu=cpu) as process:
        yield process


@contextlib.contextmanager
def target_process(namespace: str, cpu: int | None, *, offload: bool) -> Iterator[ServingProcess]:
    """A target of our own on a free loopback address."""
    words = ["nvme", "target", "--namespace", namespace, "--listen", f"nvme+rdma://{free_loopback_address()}"]
    words += ["--until-stdin-ends", "--json", "--offload" if offload else "--no-offload"]
    with ServingProcess(words, cpu=cpu) as process:
        yield process


def cpu_time(pid: int | None) -> int | None:
    """Processor time of one of our serving processes so far, in nanoseconds; None when it is not known."""
    for entry in running_processes():
        if entry.pid == pid:
            with ControlClient(entry.path) as client:
                value = client.snapshot().get("cpu_ns")
                return value if isinstance(value, int) else None
    return None
