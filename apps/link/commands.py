"""The command line of `baremetal link`."""

from __future__ import annotations

import contextlib
from functools import partial
from typing import Annotated

import typer

from apps.arguments import TIMES, Json, Offload
from apps.errors import CommandError
from apps.link.arguments import (
    Delay,
    Endpoint,
    Limit,
    Loss,
    Rate,
    Side,
    direction_config,
    parse_delay,
    parse_endpoint,
    parse_probability,
    parse_rate,
    parse_side,
)
from apps.link.namespaces import side
from apps.link.running import Run, run_link
from apps.output import complain, console
from apps.sizes import Nanoseconds, parse_duration
from transports.relay import (
    DEFAULT_BUDGET_NS,
    Direction,
    DirectionConfig,
    FrameRelay,
    Punctuality,
    Relay,
    UdpRelay,
    UdpRelayConfig,
)
from transports.udp import UdpTransport

app = typer.Typer(
    no_args_is_help=True,
    help="An emulated link between real sockets or network namespaces, which says itself whether it was fast enough.",
    epilog="baremetal link udp --listen 127.0.0.1:5000 --to 127.0.0.1:4433 --rate 20mbit --delay 20ms",
)

RATES = "RATE: 20mbit, 1.5gbit (bits a second, powers of 1000)."
Lateness = Annotated[
    int, typer.Option(parser=parse_duration, metavar="TIME", help="What 99 of 100 packets may be late in a valid run.")
]
Time = Annotated[
    int | None, typer.Option("--time", parser=parse_duration, metavar="TIME", help="End after it; else with Ctrl-C.")
]
BackRate = Annotated[int | None, typer.Option(parser=parse_rate, metavar="RATE", help="Of the way back; as --rate.")]
BackDelay = Annotated[int | None, typer.Option(parser=parse_delay, metavar="TIME", help="Of the way back.")]
BackLoss = Annotated[float | None, typer.Option(parser=parse_probability, metavar="SHARE", help="Of the way back.")]
BackLimit = Annotated[int | None, typer.Option(min=0, metavar="PACKETS", help="Of the way back.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
UntilStdinEnds = Annotated[bool, typer.Option(hidden=True)]
BUDGET = Nanoseconds(DEFAULT_BUDGET_NS)
LEFT, RIGHT = Side("left", "bm0", "10.77.0.1/24"), Side("right", "bm0", "10.77.0.2/24")


@app.command(epilog=f"baremetal link udp --listen 127.0.0.1:5000 --to 127.0.0.1:4433 --rate 20mbit\n\n{RATES} {TIMES}")
def udp(
    listen: Annotated[
        Endpoint, typer.Option(parser=parse_endpoint, metavar="ADDRESS:PORT", help="Where clients come to.")
    ],
    to: Annotated[Endpoint, typer.Option(parser=parse_endpoint, metavar="ADDRESS:PORT", help="Where the server is.")],
    rate: Rate = 0,
    delay: Delay = 0,
    loss: Loss = 0.0,
    limit: Limit = 1000,
    back_rate: BackRate = None,
    back_delay: BackDelay = None,
    back_loss: BackLoss = None,
    back_limit: BackLimit = None,
    clients: Annotated[int, typer.Option(min=1, max=512, help="How many at once; the idlest gives way.")] = 64,
    rebind_at: Annotated[
        list[int] | None,
        typer.Option(parser=parse_duration, metavar="TIME", help="New ports towards the server, then. Repeatable."),
    ] = None,
    seed: Seed = 0,
    time: Time = None,
    lateness: Lateness = BUDGET,
    offload: Offload = True,
    as_json: Json = False,
    until_stdin_ends: UntilStdinEnds = False,
) -> int:
    """A link between UDP sockets: clients send to --listen, and reach --to through it."""
    there = direction_config(rate, delay, loss, limit)
    back = _back(there, back_rate, back_delay, back_loss, back_limit)
    relay = Relay(punctuality=Punctuality(lateness))
    ways = [Direction(relay.timeline, way, seed=seed + number) for number, way in enumerate((there, back))]
    with contextlib.closing(UdpTransport(listen.host, listen.port, offload=offload)) as listening, contextlib.closing(relay):
        if listening.buffer_advice:
            complain(listening.buffer_advice)
        config = UdpRelayConfig(to=(to.host, to.port), clients=clients, offload=offload)
        link = UdpRelay(relay, listening, config, forward=ways[0], back=ways[1])
        for after_ns in rebind_at or ():
            link.rebind_at(relay.started_ns + after_ns)
        run = Run(
            relay=relay,
            forward=ways[0],
            back=ways[1],
            facts=link.as_json,
            commands={"rebind": lambda _: link.rebind()},
            duration_ns=time,
            as_json=as_json,
            ends_with_stdin=until_stdin_ends,
        )
        here = str(Endpoint(*listening.address))
        with contextlib.closing(link):
            ready = {"listen": here, "to": str(to)}
            return run_link(run, ready=ready, say=partial(_say, f"{here} leads to {to}; Ctrl-C ends it"))


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
    rate: Rate = 0,
    delay: Delay = 0,
    loss: Loss = 0.0,
    limit: Limit = 1000,
    back_rate: BackRate = None,
    back_delay: BackDelay = None,
    back_loss: BackLoss = None,
    back_limit: BackLimit = None,
    seed: Seed = 0,
    time: Time = None,
    lateness: Lateness = BUDGET,
    as_json: Json = False,
    until_stdin_ends: UntilStdinEnds = False,
) -> int:
    """A link between two network namespaces, for kernel flows; makes those that are missing. Needs root."""
    if left.namespace == right.namespace:
        raise CommandError("both sides are in one namespace, where packets would not take the link", status=2)
    there = direction_config(rate, delay, loss, limit)
    back = _back(there, back_rate, back_delay, back_loss, back_limit)
    relay = Relay(punctuality=Punctuality(lateness))
    ways = [Direction(relay.timeline, way, seed=seed + number) for number, way in enumerate((there, back))]
    with contextlib.ExitStack() as stack:
        devices = [stack.enter_context(side(each, is_tap=tap, mtu=mtu)) for each in (left, right)]
        stack.enter_context(contextlib.closing(relay))
        FrameRelay(relay, *devices, forward=ways[0], back=ways[1], offset=14 if tap else 0)
        run = Run(
            relay=relay,
            forward=ways[0],
            back=ways[1],
            facts=lambda: {"refused": [device.refused for device in devices]},
            duration_ns=time,
            as_json=as_json,
            ends_with_stdin=until_stdin_ends,
        )
        words = f"{left} and {right} are connected; try: ip netns exec {left.namespace} ping {_host(right)}"
        return run_link(run, ready={"left": str(left), "right": str(right)}, say=partial(_say, words))


def _back(
    there: DirectionConfig, rate: int | None, delay: int | None, loss: float | None, limit: int | None
) -> DirectionConfig:
    return direction_config(
        there.rate_bps if rate is None else rate,
        there.delay_ns if delay is None else delay,
        there.loss if loss is None else loss,
        there.limit_packets if limit is None else limit,
    )


def _host(side: Side) -> str:
    return side.address.partition("/")[0]


def _say(line: str) -> None:
    console().print(line, soft_wrap=True, highlight=False)
