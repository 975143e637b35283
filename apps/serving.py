"""What every serving process does besides serving: it says that it serves, can be looked at, and ends when told to.

It ends on SIGINT, SIGTERM and (unless nohup had it ignored) SIGHUP, and, when another process of ours started it, with
that one's end of the pipe that is its standard input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from apps import output
from apps.faults import control_faults, report_json
from stacks.rdma import Device
from stacks.rdma.views import device_view, qp_view
from transports.control import ControlServer, Json
from transports.control.server import Command
from transports.udp import UdpTransport


@dataclass(frozen=True, slots=True)
class ServedDevice:
    """A device that can be looked at.

    transport: its socket. counters: those of what lives on it, shown with its own.
    """

    device: Device
    transport: UdpTransport
    counters: Callable[[], Mapping[str, Json]] = dict

    def all_counters(self) -> dict[str, Json]:
        """The counters of the device, of its connection manager, of its socket, and of what lives on it."""
        device, statistics = self.device, self.transport.statistics
        return {
            **device.counters.snapshot(),
            **device.cm.counters.snapshot(),
            **{f"udp_{name}": getattr(statistics, name) for name in statistics.__slots__},
            "udp_kernel_drops": self.transport.kernel_drops,
            **self.counters(),
        }


async def serve_until_told(
    role: str,
    served: Callable[[], Sequence[ServedDevice]],
    serve: Callable[[], Awaitable[None]],
    *,
    announce: Callable[[], None],
    ends_with_stdin: bool,
    facts: Callable[[], Mapping[str, Json]] = dict,
    commands: Mapping[str, Command] | None = None,
) -> None:
    """Run `serve` beside a control socket to its end, or until a signal or the end of standard input cancels it.

    served: what the control socket tells of (see `snapshot`) and makes faults at, as it is at a moment. facts: what
    else it tells; commands: what else it does. announce: called once everything can be reached.
    """

    def faults(arguments: Mapping[str, Json]) -> Json:
        return control_faults({each.device.address[0]: each.device for each in served()}, arguments)

    all_commands: dict[str, Command] = {"faults": faults, **(commands or {})}
    control = ControlServer(role, lambda: {**snapshot(served()), **facts()}, commands=all_commands)
    await run_until_told(control, serve, announce=announce, ends_with_stdin=ends_with_stdin)


async def run_until_told(
    control: ControlServer,
    serve: Callable[[], Awaitable[None]],
    *,
    announce: Callable[[], None],
    ends_with_stdin: bool,
) -> None:
    """The same beside any control socket."""
    # A shell without job control starts `command &` with SIGINT ignored; `kill -INT` shall end it all the same.
    ending = [*ENDING, *([signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else [])]
    with trio.open_signal_receiver(*ending) as signals:
        async with trio.open_nursery() as nursery:

            async def end_at_signal() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            async def end_with_stdin() -> None:
                async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as stream:
                    while await stream.receive_some():
                        pass
                nursery.cancel_scope.cancel()

            async def serve_to_the_end() -> None:
                await serve()
                nursery.cancel_scope.cancel()

            await nursery.start(control.run)
            nursery.start_soon(end_at_signal)
            if ends_with_stdin:
                nursery.start_soon(end_with_stdin)
            nursery.start_soon(serve_to_the_end)
            output.announce(announce)


def snapshot(served: Sequence[ServedDevice]) -> dict[str, Json]:
    """What every serving process tells: times in nanoseconds, counters and state of each device, all queue pairs."""
    return {
        "cpu_ns": time.process_time_ns(),
        "time_ns": time.monotonic_ns(),
        "devices": {each.device.address[0]: each.all_counters() for each in served},
        "ports": {each.device.address[0]: device_view(each.device) for each in served},
        "qps": [
            {"device": each.device.address[0], **qp_view(qp)} for each in served for qp in each.device.qps.values()
        ],
    }


def announce_faults(device: Device) -> None:
    """One more line of JSON, at the end: what a device's fault rules did; nothing when it has no plan."""
    if report := report_json(device):
        output.announce(partial(announce_json, report))


def announce_json(document: Mapping[str, object]) -> None:
    """Print one line of JSON at once, which is what a process that started this one waits for."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


ENDING = (signal.SIGINT, signal.SIGTERM)
