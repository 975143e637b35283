"""The command line of `baremetal link`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import typer

from apps.arguments import TIMES, Capture, Json, Offload
from apps.errors import CommandError
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
from apps.link.ending import signals_noted
from apps.link.namespaces import side
from apps.link.running import Run, run_link
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
from apps.output import complain, console
from apps.punctual import Realtime
from apps.sizes import parse_duration
from transports.control import Json as ControlJson
from transports.relay import Direction, DirectionConfig, FrameRelay, Punctuality, Relay, UdpRelay, UdpRelayConfig
from transports.relay.frame import flow_name
from transports.relay.ledger import Ledger
from transports.relay.recording import record_datagrams, record_frames
from transports.relay.sampling import FlowSamples
from transports.tuntap import TunDevice
from transports.udp import UdpTransport

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
    ways = two_ways(
        rate=rate,
        delay=delay,
        queue=queue,
        limit=limit,
        loss=loss,
        element=element,
        back_rate=back_rate,
        back_delay=back_delay,
        back_queue=back_queue,
        back_limit=back_limit,
        back_loss=back_loss,
        back_element=back_element,
    )
    relay, forward, back = _relay(ways, lateness, seed)
    with contextlib.ExitStack() as stack:
        stack.callback(relay.close)
        listening = UdpTransport(listen.host, listen.port, offload=offload)
        stack.callback(listening.close)
        if listening.buffer_advice:
            complain(listening.buffer_advice)
        hosts = tuple(each.host for each in rebind_from or ())
        config = UdpRelayConfig(to=(to.host, to.port), clients=clients, offload=offload, hosts=hosts)
        link = UdpRelay(relay, listening, config, forward=forward, back=back)
        stack.callback(link.close)
        for after_ns in rebind_at or ():
            link.rebind_after(after_ns)
        if capture:
            stack.callback(record_datagrams(relay, forward, back, capture, link=link, on_stop=complain).close)
        if samples:
            watching = FlowSamples(relay, sample_interval, lambda packet, _: link.flow_name(packet))
            stack.callback(lambda: samples.write_text(watching.as_csv()))
            watching.watch(forward, back)
        run = Run(
            relay=relay,
            forward=forward,
            back=back,
            between=(str(Endpoint(*listening.address)), str(to)),
            facts=link.as_json,
            commands={"rebind": lambda _: link.rebind()},
            duration_ns=time,
            is_realtime=realtime,
            as_json=as_json,
            ends_with_stdin=until_stdin_ends,
        )
        here = str(Endpoint(*listening.address))
        words = f"link {os.getpid()}: {here} leads to {to}; Ctrl-C ends it"
        return run_link(run, ready={"listen": here, "to": str(to)}, say=partial(_say, words))


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
    if left.namespace == right.namespace:
        raise CommandError("both sides are in one namespace, where packets would not take the link", status=2)
    ways = two_ways(
        rate=rate,
        delay=delay,
        queue=queue,
        limit=limit,
        loss=loss,
        element=element,
        back_rate=back_rate,
        back_delay=back_delay,
        back_queue=back_queue,
        back_limit=back_limit,
        back_loss=back_loss,
        back_element=back_element,
    )
    relay, forward, back = _relay(ways, lateness, seed)
    with contextlib.ExitStack() as stack:
        noted = stack.enter_context(signals_noted())
        devices = [stack.enter_context(side(each, is_tap=tap, mtu=mtu)) for each in (left, right)]
        stack.callback(relay.close)
        offset = 14 if tap else 0
        if capture:
            stack.callback(record_frames(relay, forward, back, capture, offset=offset, on_stop=complain).close)
        if samples:
            watching = FlowSamples(relay, sample_interval, lambda packet, _: flow_name(packet.data, offset))
            stack.callback(lambda: samples.write_text(watching.as_csv()))
            watching.watch(forward, back)
        if ledger:
            recording = Ledger(relay, sample_interval, lambda packet, _: flow_name(packet.data, offset))
            stack.callback(recording.write, ledger)
            recording.watch(forward, back)
        FrameRelay(relay, *devices, forward=forward, back=back, offset=offset)
        run = Run(
            relay=relay,
            forward=forward,
            back=back,
            between=(left.name, right.name),
            facts=partial(_refused, devices),
            duration_ns=time,
            is_realtime=realtime,
            as_json=as_json,
            ends_with_stdin=until_stdin_ends,
            noted=noted,
        )
        host = right.address.partition("/")[0]
        words = f"link {os.getpid()}: {left} and {right} are connected; try: ip netns exec {left.namespace} ping {host}"
        return run_link(run, ready={"left": str(left), "right": str(right)}, say=partial(_say, words))


def _relay(ways: Sequence[DirectionConfig], lateness: int, seed: int) -> tuple[Relay, Direction, Direction]:
    relay = Relay(punctuality=Punctuality(lateness))
    forward, back = (Direction(relay.timeline, way, seed=2 * seed + number) for number, way in enumerate(ways))
    return relay, forward, back


def _refused(devices: list[TunDevice]) -> Mapping[str, ControlJson]:
    return {"refused": [device.refused for device in devices]}


def _say(line: str) -> None:
    console().print(line, soft_wrap=True, highlight=False)
