"""The target process."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trio

from apps.faults import reported
from apps.nvme.announcing import announce, places
from apps.nvme.management.manager import Manager
from apps.nvme.management.verbs import VERBS
from apps.nvme.sources import failure_reporter
from apps.output import complain
from apps.recording import Recording
from apps.serving import ServedDevice, announce_faults, serve_until_told
from stacks.nvme.aio import Server, serve
from stacks.nvme.configuration import ConfiguredTarget, Origin, TargetConfiguration
from stacks.rdma import Device, DeviceConfig
from transports.control import Json
from transports.file_limit import raise_file_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """What to serve, and how.

    configuration: ports, subsystems and namespaces; origin: where that is from.
    capture, capture_limit_bytes: where to record packets, and how many bytes of them; 0 for no limit.
    device: how RDMA devices are made, None as usual. workers: processes for the connections of TCP ports.
    """

    configuration: TargetConfiguration
    origin: Origin = field(default_factory=Origin)
    offload: bool = True
    capture: Path | None = None
    capture_limit_bytes: int = 0
    device: DeviceConfig | None = None
    workers: int = 0
    ends_with_stdin: bool = False
    as_json: bool = False


def run_target(options: TargetOptions) -> None:
    """Serve until told to end, then answer what is under way, close the stores, and return.

    CommandError, LocalError or TransportError, with one line for a person, for what cannot be opened or had.
    """
    raise_file_limit()
    configured = ConfiguredTarget(options.configuration, origin=options.origin)
    with contextlib.closing(configured):
        trio.run(serve_configured, options, configured)


async def serve_configured(options: TargetOptions, configured: ConfiguredTarget) -> None:
    """Serve, beside the control socket."""
    ending = trio.Event()
    with Recording(options.capture, limit_bytes=options.capture_limit_bytes) as recording:
        await _serve(options, configured, recording, ending)


async def _serve(
    options: TargetOptions, configured: ConfiguredTarget, recording: Recording, ending: trio.Event
) -> None:
    async with serve(
        configured,
        offload=options.offload,
        wrap=recording.transport,
        wrap_streams=None if options.capture is None else recording.streams,
        device=options.device,
        workers=options.workers,
    ) as server:
        if server.workers is not None:
            server.workers.on_death = complain
        server.target.on_store_failure = failure_reporter(configured)
        manager = Manager(configured, server, end=ending.set)
        with contextlib.ExitStack() as stack:
            for device in devices(server):
                stack.enter_context(reported(device, is_quiet=options.as_json))
            await serve_until_told(
                "nvme-target",
                lambda: served_devices(server),
                ending.wait,
                announce=lambda: announce(configured, server, as_json=options.as_json),
                ends_with_stdin=options.ends_with_stdin,
                facts=lambda: facts(configured, server),
                commands=manager.commands(VERBS),
            )
        if options.as_json:
            for device in devices(server):
                announce_faults(device)


def devices(server: Server) -> Sequence[Device]:
    """The RDMA devices of a target's ports."""
    return [port.device for port in server.ports if port.device is not None]


def served_devices(server: Server) -> Sequence[ServedDevice]:
    """The same, to be looked at."""
    return [
        ServedDevice(port.device, port.udp, port.core.counters.snapshot)
        for port in server.ports
        if port.device is not None and port.udp is not None
    ]


def facts(configured: ConfiguredTarget, server: Server) -> dict[str, Json]:
    """What a look at the process shows beside its devices."""
    server.target.collect()
    counters: dict[str, Json] = {
        str(url): {**port.core.counters.snapshot()} for url, port in places(configured, server)
    }
    queues = sum(port.core.queue_count for port in server.ports)
    workers: list[Json] = [] if server.workers is None else [*server.workers.pids]
    return {
        "nqn": next(iter(configured.subsystems), ""), "queues": queues, "listening": counters, "workers": workers
    }  # fmt: skip
