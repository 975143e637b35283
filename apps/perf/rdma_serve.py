"""The process at the other end of the verbs workloads."""

from __future__ import annotations

import trio

from apps.faults import reported
from apps.output import console
from apps.perf.rdma_peer import RdmaPeer
from apps.serving import ServedDevice, announce_faults, announce_json, serve_until_told
from apps.sizes import format_size
from stacks.rdma import DeviceConfig
from stacks.rdma.sync import device_on, open_udp
from transports.clock import RealClock
from transports.driver import Driver


def serve(
    address: str,
    memory_bytes: int,
    *,
    is_busy: bool,
    offload: bool,
    ends_with_stdin: bool,
    as_json: bool,
    config: DeviceConfig | None = None,
) -> None:
    """Serve until told to end. config: how the device is made, None as usual.

    TransportError when the address cannot be had.
    """
    transport = open_udp(address, offload=offload)
    device = device_on(transport, config=config)
    peer = RdmaPeer(device, memory_bytes)
    driver = Driver(device, transport, RealClock(), [] if is_busy else [peer])

    async def spin() -> None:
        while True:
            for _ in range(POLLS):
                if driver.poll(SPINS):
                    peer.pump(0)
            peer.pump(0)
            await trio.lowlevel.checkpoint()

    def announce() -> None:
        if as_json:
            announce_json({"address": address, "memory_bytes": memory_bytes, "advice": transport.buffer_advice})
            return
        out = console()
        out.print(f"serving {format_size(memory_bytes)} at {address}, until Ctrl-C")
        if transport.buffer_advice:
            advice = f"small socket buffers cost throughput: {transport.buffer_advice}"
            out.print(advice, soft_wrap=True, highlight=False)

    try:
        with reported(device, is_quiet=as_json):
            trio.run(
                lambda: serve_until_told(
                    "perf",
                    lambda: [ServedDevice(device, transport)],
                    spin if is_busy else driver.run,
                    announce=announce,
                    ends_with_stdin=ends_with_stdin,
                )
            )
        if as_json:
            announce_faults(device)
    finally:
        transport.close()


SPINS = 16
"""Looks at the socket in one poll."""
POLLS = 100
"""Polls between two looks at signals."""
