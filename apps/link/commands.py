"""The command line of `baremetal link`."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.arguments import TIMES, Capture, Json, Offload
from apps.link import looking
from apps.link.arguments import (
    BUDGET,
    SAMPLE,
    Endpoint,
    Lateness,
    LedgerFile,
    SampleInterval,
    Samples,
    Seed,
    Side,
    Time,
    UntilStdinEnds,
    parse_endpoint,
    parse_host,
    parse_side,
)
from apps.link.links import run_frames, run_udp
from apps.link.wanted import Wanted
from apps.link.ways import (
    NONE,
    BackDelay,
    BackElements,
    BackLimit,
    BackLoss,
    BackQueue,
    BackRate,
    Delay,
    Elements,
    Limit,
    Loss,
    Queue,
    Rate,
    two_ways,
)
from apps.punctual import Realtime
from apps.sizes import parse_duration
from transports.relay import UdpRelayConfig

app = typer.Typer(
    no_args_is_help=True,
    help="An emulated link between real sockets or network namespaces, which says itself whether it was fast enough.",
    epilog="baremetal link udp --listen 127.0.0.1:5000 --to 127.0.0.1:4433 --rate 20mbit --delay 20ms",
)
app.command(epilog=looking.SHOW)(looking.show)
app.command(epilog=looking.CHANGE)(looking.change)
app.command(epilog=looking.REBIND)(looking.rebind)

RATES = "RATE: 20mbit, 1.5gbit (bits a second, powers of 1000). More on all of these: docs/link.md."
LEFT, RIGHT = Side("left", "bm0", "10.77.0.1/24"), Side("right", "bm0", "10.77.0.2/24")


@app.command(epilog=f"baremetal link udp --listen 127.0.0.1:5000 --to 127.0.0.1:4433 --rate 20mbit\n\n{RATES} {TIMES}")
def udp(
    listen: Annotated[
        Endpoint, typer.Option(parser=parse_endpoint, metavar="ADDRESS:PORT", help="Where clients come to.")
    ],
    to: Annotated[Endpoint, typer.Option(parser=parse_endpoint, metavar="ADDRESS:PORT", help="Where the server is.")],
    rate: Rate = NONE.rate,
    delay: Delay = NONE.delay,
    queue: Queue = NONE.queue,
    limit: Limit = NONE.limit,
    loss: Loss = NONE.loss,
    element: Elements = None,
    back_rate: BackRate = None,
    back_delay: BackDelay = None,
    back_queue: BackQueue = None,
    back_limit: BackLimit = None,
    back_loss: BackLoss = None,
    back_element: BackElements = None,
    clients: Annotated[int, typer.Option(min=1, max=512, help="How many at once; the idlest gives way.")] = 64,
    rebind_at: Annotated[
        list[int] | None,
        typer.Option(
            parser=parse_duration, metavar="TIME", help="New ports, so long after the first client came. Repeatable."
        ),
    ] = None,
    rebind_from: Annotated[
        list[Endpoint] | None,
        typer.Option(
            parser=parse_host,
            metavar="ADDRESS",
            help="Of this machine: clients' towards the server, the next with each rebinding. Repeatable.",
        ),
    ] = None,
    seed: Seed = 0,
    time: Time = None,
    lateness: Lateness = BUDGET,
    offload: Offload = True,
    realtime: Realtime = None,
    capture: Capture = None,
    samples: Samples = None,
    sample_interval: SampleInterval = SAMPLE,
    as_json: Json = False,
    until_stdin_ends: UntilStdinEnds = False,
) -> int:
    """A link between UDP sockets: clients send to --listen, and reach --to through it."""
    wanted = Wanted(
        ways=two_ways(
            (rate, delay, queue, limit, loss, element),
            (back_rate, back_delay, back_queue, back_limit, back_loss, back_element),
        ),
        lateness_ns=lateness,
        seed=seed,
        duration_ns=time,
        is_realtime=realtime,
        capture=capture,
        samples=samples,
        sample_interval_ns=sample_interval,
        as_json=as_json,
        ends_with_stdin=until_stdin_ends,
    )
    hosts = tuple(each.host for each in rebind_from or ())
    config = UdpRelayConfig(to=(to.host, to.port), clients=clients, offload=offload, hosts=hosts)
    return run_udp(wanted, listen, to, config=config, rebind_at=rebind_at or ())


@app.command(epilog=f"baremetal link tun --rate 20mbit --delay 20ms\n\n{RATES} {TIMES}")
def tun(
    left: Annotated[
        Side, typer.Option(parser=parse_side, metavar="NETNS/DEVICE/ADDRESS", help="Namespace, device, address/prefix.")
    ] = LEFT,
    right: Annotated[
        Side, typer.Option(parser=parse_side, metavar="NETNS/DEVICE/ADDRESS", help="The other side.")
    ] = RIGHT,
    tap: Annotated[bool, typer.Option("--tap", help="Ethernet devices instead of IP ones.")] = False,
    mtu: Annotated[int, typer.Option(min=68, max=65521, help="Of the devices, in bytes.")] = 1500,
    rate: Rate = NONE.rate,
    delay: Delay = NONE.delay,
    queue: Queue = NONE.queue,
    limit: Limit = NONE.limit,
    loss: Loss = NONE.loss,
    element: Elements = None,
    back_rate: BackRate = None,
    back_delay: BackDelay = None,
    back_queue: BackQueue = None,
    back_limit: BackLimit = None,
    back_loss: BackLoss = None,
    back_element: BackElements = None,
    seed: Seed = 0,
    time: Time = None,
    lateness: Lateness = BUDGET,
    realtime: Realtime = None,
    capture: Capture = None,
    samples: Samples = None,
    sample_interval: SampleInterval = SAMPLE,
    ledger: LedgerFile = None,
    as_json: Json = False,
    until_stdin_ends: UntilStdinEnds = False,
) -> int:
    """A link between two network namespaces, for kernel flows; makes those that are missing. Needs root."""
    wanted = Wanted(
        ways=two_ways(
            (rate, delay, queue, limit, loss, element),
            (back_rate, back_delay, back_queue, back_limit, back_loss, back_element),
        ),
        lateness_ns=lateness,
        seed=seed,
        duration_ns=time,
        is_realtime=realtime,
        capture=capture,
        samples=samples,
        sample_interval_ns=sample_interval,
        as_json=as_json,
        ends_with_stdin=until_stdin_ends,
    )
    return run_frames(wanted, left, right, is_tap=tap, mtu=mtu, ledger=ledger)
