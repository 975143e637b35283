"""`baremetal lab send` and `serve`: a model flow in real time over UDP, so that it can share a link with kernel flows.

Try it through a link: `lab serve --listen 127.0.0.1:5001`, `link udp --listen 127.0.0.1:5000 --to 127.0.0.1:5001`, and
`lab send 127.0.0.1:5000`; or in the namespaces of `link tun`, with --netns.
"""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Annotated

import trio
import typer

from apps.arguments import TIMES, Json, parse_controller
from apps.errors import CommandError
from apps.lab.real_flow import SenderTrace, run_sender
from apps.link.arguments import Endpoint, parse_endpoint
from apps.output import complain, console, print_json
from apps.punctual import Realtime, be_punctual
from apps.serving import announce_json, run_until_told
from apps.sizes import Nanoseconds, format_duration, parse_duration, parse_size
from stacks.congestion import Delivery, Flow, controller_factory
from stacks.model import Sender
from stacks.model.endpoint import ReceivingEndpoint, SendingEndpoint
from transports import namespaces
from transports.clock import RealClock
from transports.control import ControlServer
from transports.control import Json as ControlJson
from transports.driver import Driver
from transports.relay.lateness import Punctuality
from transports.routes import source_address
from transports.udp import UdpTransport

Netns = Annotated[str, typer.Option(metavar="NAME", help="The network namespace to be in. Needs root.")]
SEND = f"baremetal lab send 127.0.0.1:5000 --controller reno --time 10s\n\n{TIMES}"
SERVE = "baremetal lab serve --listen 127.0.0.1:5001"


def send(
    to: Annotated[Endpoint, typer.Argument(parser=parse_endpoint, metavar="ADDRESS:PORT", help="Where `serve` is.")],
    controller: Annotated[
        str, typer.Option(parser=parse_controller, metavar="NAME", help="Which controller decides.")
    ] = "reno",
    time: Annotated[
        int, typer.Option("--time", parser=parse_duration, metavar="TIME", help="How long to send.")
    ] = Nanoseconds(10_000_000_000),
    size: Annotated[
        int, typer.Option(parser=parse_size, metavar="SIZE", help="End when so much has arrived; 0: only by time.")
    ] = 0,
    packet: Annotated[int, typer.Option(min=128, max=65507, help="Size of the IP packets, in bytes.")] = 1500,
    flow: Annotated[int, typer.Option(min=0, max=0xFFFFFFFF, help="Number of the flow.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Of what a controller draws.")] = 0,
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the controller's state each interval as CSV.")
    ] = None,
    interval: Annotated[int, typer.Option(parser=parse_duration, metavar="TIME", help="Of --trace.")] = Nanoseconds(
        10_000_000
    ),
    netns: Netns = "",
    realtime: Realtime = None,
    as_json: Json = False,
) -> None:
    """Send a flow of packets without contents under a congestion controller, and tell how it went."""
    address = (to.host, to.port)
    clock = RealClock()
    facts = Flow(
        line_rate_bps=LINE_RATE_BPS,
        packet_bytes=packet,
        rng=random.Random(seed),
        delivery=Delivery(10 * packet),
        start_ns=clock.now(),
    )
    sender = Sender(controller_factory(controller), facts)
    sender.write(size or UNLIMITED_BYTES)
    with namespaces.entered(netns):
        transport = UdpTransport(source_address(to.host), 0)
    be_punctual(is_realtime=realtime)
    with contextlib.closing(transport):
        record = SenderTrace(sender, interval_ns=interval if trace else 0)
        core, punctuality = SendingEndpoint(sender, address, flow=flow), Punctuality()
        core.on_departure = punctuality.departure.record
        took_ns = run_sender(core, transport, clock, record, limit_ns=time)
    if trace:
        trace.write_text(record.as_csv())
    if not sender.delivery.delivered_bytes:
        raise CommandError(f"nobody answered at {to}", "is `baremetal lab serve` running there?")
    lateness: dict[str, ControlJson] = {**punctuality.as_json()}
    result = summary(sender, took_ns) | {"controller": controller, "lateness": lateness}
    if as_json:
        print_json(result)
        return
    shortest, smoothed = format_duration(sender.rtt.min_ns), format_duration(sender.rtt.smoothed_ns)
    line = (
        f"{controller}: {result['goodput_mbit_s']} Mbit/s acknowledged in {format_duration(took_ns)}; "
        f"round trip {shortest} at least, {smoothed} at the end; "
        f"{sender.lost_packets} of {sender.sent_packets} packets lost"
    )
    console().print(line, highlight=False, soft_wrap=True)
    if punctuality.reason:
        complain(f"not a valid measurement: {punctuality.reason}")


def serve(
    listen: Annotated[
        Endpoint, typer.Option(parser=parse_endpoint, metavar="ADDRESS:PORT", help="Where flows come to.")
    ],
    netns: Netns = "",
    realtime: Realtime = None,
    until_stdin_ends: Annotated[bool, typer.Option(hidden=True)] = False,
    as_json: Json = False,
) -> None:
    """Receive the flows of `lab send` until Ctrl-C."""
    with namespaces.entered(netns):
        transport = UdpTransport(listen.host, listen.port)
    if transport.buffer_advice:
        complain(transport.buffer_advice)
    core = ReceivingEndpoint()
    here = Endpoint(*transport.address)
    with contextlib.closing(transport):
        be_punctual(is_realtime=realtime)
        driver = Driver(core, transport, RealClock())

        def tell() -> None:
            if as_json:
                announce_json({"listen": str(here)})
            else:
                console().print(f"flows are received at {here}; Ctrl-C ends it", highlight=False, soft_wrap=True)

        async def run() -> None:
            control = ControlServer("lab-serve", lambda: received(core))
            await run_until_told(control, driver.run, announce=tell, ends_with_stdin=until_stdin_ends)

        trio.run(run)


def summary(sender: Sender, took_ns: int) -> dict[str, ControlJson]:
    """How a flow went; delivered_bytes and goodput_mbit_s are of whole IP packets."""
    delivered_bytes = sender.delivery.delivered_bytes
    return {
        "duration_ns": took_ns,
        "delivered_bytes": delivered_bytes,
        "goodput_mbit_s": round(8e3 * delivered_bytes / max(1, took_ns), 3),
        "sent_packets": sender.sent_packets,
        "lost_packets": sender.lost_packets,
        "retransmitted_packets": sender.retransmitted_packets,
        "timeouts": sender.timeouts,
        "spurious_losses": sender.spurious_losses,
        "rtt_min_ns": sender.rtt.min_ns,
        "rtt_smoothed_ns": sender.rtt.smoothed_ns,
        "state": sender.controller.state,
        "variables": {**sender.controller.variables()},
    }


def received(core: ReceivingEndpoint) -> dict[str, ControlJson]:
    """What every flow has come to."""
    return {
        "bad_packets": core.bad_packets,
        "flows": [
            {
                "from": f"{address[0]}:{address[1]}",
                "flow": flow,
                "received_packets": receiver.received_packets,
                "received_bytes": receiver.received_bytes,
                "goodput_bytes": receiver.goodput_bytes,
                "ce_packets": receiver.ce_packets,
            }
            for (address, flow), receiver in core.receivers.items()
        ],
    }


LINE_RATE_BPS = 10_000_000_000
UNLIMITED_BYTES = 1 << 50
