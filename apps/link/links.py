"""The two kinds of link, from what the command line says to their end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from apps.errors import CommandError
from apps.link.arguments import Endpoint, Side
from apps.link.ending import signals_noted
from apps.link.namespaces import side
from apps.link.running import Run, run_link
from apps.link.wanted import Wanted
from apps.output import complain, console
from transports.control import Json as ControlJson
from transports.relay import FrameRelay, UdpRelay, UdpRelayConfig
from transports.relay.frame import flow_name
from transports.relay.ledger import Ledger
from transports.relay.recording import record_datagrams, record_frames
from transports.tuntap import TunDevice
from transports.udp import UdpTransport


def run_udp(
    wanted: Wanted, listen: Endpoint, to: Endpoint, *, config: UdpRelayConfig, rebind_at: Sequence[int]
) -> int:
    """A link between UDP sockets; its exit status. rebind_at: in nanoseconds from the first client on."""
    relay, forward, back = wanted.relay()
    with contextlib.ExitStack() as stack:
        stack.callback(relay.close)
        listening = UdpTransport(listen.host, listen.port, offload=config.offload)
        stack.callback(listening.close)
        if listening.buffer_advice:
            complain(listening.buffer_advice)
        link = UdpRelay(relay, listening, config, forward=forward, back=back)
        stack.callback(link.close)
        for after_ns in rebind_at:
            link.rebind_after(after_ns)
        if wanted.capture:
            stack.callback(record_datagrams(relay, forward, back, wanted.capture, link=link, on_stop=complain).close)
        wanted.sample(stack, relay, (forward, back), link.flow_name)
        run = Run(
            relay=relay,
            forward=forward,
            back=back,
            between=(str(Endpoint(*listening.address)), str(to)),
            facts=link.as_json,
            commands={"rebind": lambda _: link.rebind()},
            duration_ns=wanted.duration_ns,
            is_realtime=wanted.is_realtime,
            as_json=wanted.as_json,
            ends_with_stdin=wanted.ends_with_stdin,
        )
        here = str(Endpoint(*listening.address))
        words = f"link {os.getpid()}: {here} leads to {to}; Ctrl-C ends it"
        return run_link(run, ready={"listen": here, "to": str(to)}, say=partial(_say, words))


def run_frames(wanted: Wanted, left: Side, right: Side, *, is_tap: bool, mtu: int, ledger: Path | None) -> int:
    """A link between two network namespaces; its exit status. CommandError where they are the same."""
    if left.namespace == right.namespace:
        raise CommandError("both sides are in one namespace, where packets would not take the link", status=2)
    relay, forward, back = wanted.relay()
    with contextlib.ExitStack() as stack:
        noted = stack.enter_context(signals_noted())
        devices = [stack.enter_context(side(each, is_tap=is_tap, mtu=mtu)) for each in (left, right)]
        stack.callback(relay.close)
        offset = 14 if is_tap else 0
        if wanted.capture:
            recording = record_frames(relay, forward, back, wanted.capture, offset=offset, on_stop=complain)
            stack.callback(recording.close)
        wanted.sample(stack, relay, (forward, back), lambda packet: flow_name(packet.data, offset))
        if ledger:
            kept = Ledger(relay, wanted.sample_interval_ns, lambda packet, _: flow_name(packet.data, offset))
            stack.callback(kept.write, ledger)
            kept.watch(forward, back)
        FrameRelay(relay, *devices, forward=forward, back=back, offset=offset)
        run = Run(
            relay=relay,
            forward=forward,
            back=back,
            between=(left.name, right.name),
            facts=partial(_refused, devices),
            duration_ns=wanted.duration_ns,
            is_realtime=wanted.is_realtime,
            as_json=wanted.as_json,
            ends_with_stdin=wanted.ends_with_stdin,
            noted=noted,
        )
        host = right.address.partition("/")[0]
        words = f"link {os.getpid()}: {left} and {right} are connected; try: ip netns exec {left.namespace} ping {host}"
        return run_link(run, ready={"left": str(left), "right": str(right)}, say=partial(_say, words))


def _refused(devices: list[TunDevice]) -> Mapping[str, ControlJson]:
    return {"refused": [device.refused for device in devices]}


def _say(line: str) -> None:
    console().print(line, soft_wrap=True, highlight=False)
