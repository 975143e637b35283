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
from collections.abc import Awaitable, Callable

import trio

from apps import output
from stacks.rdma import Device
from transports.control import ControlServer, Json
from transports.udp import UdpTransport


async def serve_until_told(
    role: str,
    snapshot: Callable[[], dict[str, Json]],
    serve: Callable[[], Awaitable[None]],
    *,
    announce: Callable[[], None],
    ends_with_stdin: bool,
) -> None:
    """Run `serve` beside a control socket until a signal or the end of standard input, then cancel it.

    snapshot: what the control socket tells; `cpu_ns`, this process's processor time, is added.
    announce: called once everything can be reached.
    """
    # A shell without job control starts `command &` with SIGINT ignored; `kill -INT` shall end it all the same.
    ending = [*ENDING, *([signal.SIGHUP] if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else [])]
    control = ControlServer(role, lambda: {"cpu_ns": time.process_time_ns(), **snapshot()})
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

            await nursery.start(control.run)
            nursery.start_soon(end_at_signal)
            if ends_with_stdin:
                nursery.start_soon(end_with_stdin)
            nursery.start_soon(serve)
            output.announce(announce)


def device_state(device: Device, transport: UdpTransport) -> dict[str, dict[str, Json]]:
    """The counters of a device, of its connection manager and of its socket, as every snapshot shows them."""
    counters: dict[str, Json] = {**device.counters.snapshot(), **device.cm.counters.snapshot()}
    statistics = {f"udp_{name}": getattr(transport.statistics, name) for name in transport.statistics.__slots__}
    return {device.address[0]: {**counters, **statistics, "udp_kernel_drops": transport.kernel_drops}}


def announce_json(document: dict[str, object]) -> None:
    """Print one line of JSON at once, which is what a process that started this one waits for."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


ENDING = (signal.SIGINT, signal.SIGTERM)
